"""What servers say, as 2.15.1 said it; numbers are arguments."""

import json

SERVER = {"name": "n1", "host": "127.0.0.1", "id": "NA", "ver": "2.15.1", "time": "2026-11-24T19:00:00.5Z", "seq": 7}
MARKED = {**SERVER, "metadata": {"nunect_revision": "7", "nunect_sha256": "abc"}}
START = "2026-11-24T19:00:00.123456789Z"


def packed(told):
    return json.dumps(told).encode()


def client(cid=9, account="A", user="svc", start=START, **more):
    known = {"host": "10.0.0.7", "name": "app", "lang": "go", "ver": "1.5", "kind": "Client", "client_type": "nats"}
    return {"start": start, "id": cid, "acc": account, "user": user, **known, **more}


def event(kind, told, server=SERVER, at="2026-11-24T19:00:00.2Z", **more):
    return packed(
        {"type": f"io.nats.server.advisory.v1.client_{kind}", "timestamp": at, "server": server, "client": told, **more}
    )


def connect(cid=9, account="A", **more):
    at = more.pop("at", "2026-11-24T19:00:00.2Z")
    return f"$SYS.ACCOUNT.{account}.CONNECT", event("connect", client(cid, account, **more), at=at)


def disconnect(cid=9, account="A", reason="Client Closed", **more):
    return f"$SYS.ACCOUNT.{account}.DISCONNECT", event("disconnect", client(cid, account, **more), reason=reason)


def refusal(cid=11, user="svc", reason="Authentication Failure", **more):
    told = event("disconnect", client(cid, "$G", user, **more), reason=reason)
    return "$SYS.SERVER.NA.CLIENT.AUTH.ERR", told


def stats(server=SERVER, start=START, **numbers):
    sums = {"received": {"msgs": 0, "bytes": 0}, "sent": {"msgs": 0, "bytes": 0}}
    known = {"start": start, "mem": 1 << 24, "cores": 2, "cpu": 1.5, "connections": 3, "total_connections": 5}
    return packed({"server": server, "statsz": {**known, "subscriptions": 60, **sums, **numbers}})


def connection(cid, **more):
    known = {"kind": "Client", "type": "nats", "ip": "10.0.0.7", "start": START, "rtt": "673µs", "idle": "1m2s"}
    numbers = {"pending_bytes": 0, "in_msgs": 0, "out_msgs": 0, "in_bytes": 0, "out_bytes": 0, "subscriptions": 2}
    return {"cid": cid, **known, **numbers, "authorized_user": "svc", "account": "A", "name": "app", **more}


def page(*connections, offset=0, total=None, server=SERVER):
    data = {"offset": offset, "total": len(connections) if total is None else total, "connections": list(connections)}
    return packed({"server": server, "data": data})
