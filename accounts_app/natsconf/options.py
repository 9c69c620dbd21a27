"""The names at the top of a conf that the server knows, in all their spellings; any other must be a variable.

Source: `server/opts.go` processConfigFileLine; the tests ask the server's binary for each.
"""

from __future__ import annotations

_NAMES = (
    "accounts authorization no_auth_user system_account system no_system_account no_system no_sys_acc mappings maps "
    "listen host net port client_advertise server_name server_tags server_metadata feature_flags "
    "http https http_port monitor_port https_port http_base_path prof_port prof_block_rate "
    "cluster gateway leaf leafnodes websocket ws mqtt proxies proxy_protocol "
    "jetstream store_dir storedir default_js_domain "
    "tls allow_non_tls ocsp ocsp_cache "
    "operator operators root roots root_operator root_operators trusted trusted_keys default_sentinel "
    "resolver account_resolver accounts_resolver resolver_tls resolver_preload resolver_pinned_accounts "
    "debug trace trace_verbose trace_headers logtime logtime_utc logfile log_file logfile_size_limit log_size_limit "
    "logfile_max_num log_max_num syslog remote_syslog max_traced_msg_len connect_error_reports reconnect_error_reports "
    "pidfile pid_file ports_file_dir "
    "max_control_line max_payload max_pending max_connections max_conn max_subscriptions max_subs max_sub_tokens "
    "max_subscription_tokens max_closed_clients ping_interval ping_max write_deadline write_timeout "
    "lame_duck_duration lame_duck_grace_period disable_sublist_cache no_sublist_cache no_header_support "
    "no_fast_producer_stall "
)
TOP_LEVEL = frozenset(_NAMES.split())
