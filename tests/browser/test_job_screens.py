"""Blueprints, jobs and hand-overs as a person meets them: told as one types, live as they go on, shown once."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from accounts_app.credentials import NewSecret
from monitoring import frames, jobs_live
from provisioning.blueprints import handover
from provisioning.blueprints.catalogue import save_blueprint
from provisioning.models import HandOver, Job, JobLine, JobStep
from tests import factories
from tests.admin.job_rows import CATALOGUE, FORM, JOBS, TEXT, act, make_job, page_of
from tests.browser.test_live_front import CONTRAST, kind, shows, until

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
NASTY = """'"><img src=x onerror="document.title='broken'"> `${1}` \\"""


@pytest.fixture
def blueprint(valkey):
    factories.system()
    return save_blueprint(TEXT, factories.admin())


def tell(site, job, seq, topic=None):
    """What the web process would send of a job as its rows are now."""
    topic = topic or f"job:{job.pk}"
    data = jobs_live.told(job.system_id, [topic])[topic]
    site.wire.send(frames.snapshot(topic, job.system.name, "c01d", seq, timezone.now().timestamp(), data))


def watched(site, page):
    until(page, lambda: site.wire.heard("watch"), "the page watched nothing")
    return site.wire.heard("watch")[-1]["topics"]


# --- the form ---------------------------------------------------------------------------------------------------


def test_three_clicks_and_a_name_make_a_job_whose_link_is_shown_once(site, blueprint):
    page = site.open("/admin/")
    page.get_by_role("link", name="New from a blueprint").first.click()
    page.get_by_role("link", name="Use it A small team").click()
    page.fill("[name=p-name]", "ACME")
    page.fill("[name=p-services]", "orders, billing")
    shows(page, "[data-nu-look]", "ACME-billing")
    shows(page, "[data-nu-look]", "may publish orders.>")
    assert not page.locator("[data-nu-error]:visible").count()
    page.get_by_role("button", name="Provision").click()
    page.wait_for_selector("#nu-link")
    link = page.locator("#nu-link").inner_text()
    job = Job.objects.get()
    assert "/handover/#" in link and page.url.endswith(page_of(job))  # to load it again sends nothing
    assert f"job:{job.pk}" in watched(site, page)
    page.get_by_role("link", name="I have stored it").click()
    page.wait_for_url(f"**{page_of(job)}")
    page.wait_for_selector("[data-nu-job]")
    assert not page.locator("#nu-link").count() and link not in page.content()
    assert Job.objects.count() == 1


def test_what_is_wrong_is_said_at_a_field_that_somebody_has_filled(site, blueprint):
    page = site.open(FORM)
    shows(page, "[data-nu-look]", "Still needed: Account, Services")
    assert not page.locator("[data-nu-error]:visible").count()
    page.fill("[name=p-name]", "no dots.")
    shows(page, "[data-nu-param=name] [data-nu-error]", "no dots.")
    assert page.locator("[data-nu-error]:visible").count() == 1
    assert page.locator("[name=p-name]").get_attribute("aria-invalid") == "true"
    page.fill("[name=p-name]", "DOTS")
    page.locator("[data-nu-param=name] [data-nu-error]").wait_for(state="hidden")


def test_typing_asks_once_it_pauses(site, blueprint):
    page = site.open(FORM)
    asked = []
    page.on("request", lambda request: request.url.endswith("/look/?version=1") and asked.append(request.url))
    page.locator("[name=p-name]").press_sequentially("A_LONG_NAME_OF_AN_ACCOUNT", delay=10)
    page.fill("[name=p-services]", "orders")
    shows(page, "[data-nu-look]", "A_LONG_NAME_OF_AN_ACCOUNT-orders")
    assert len(asked) <= 3, asked


def test_a_csv_is_taken_from_a_file_and_its_lines_are_told(site, blueprint):
    page = site.open(f"{FORM}?name=ACME&services=orders")
    file = {"name": "devices.csv", "mimeType": "text/csv"}
    page.set_input_files("[name=p-devices-file]", [{**file, "buffer": b"name\nd1\nno.dots\n"}])
    shows(page, "[data-nu-param=devices] [data-nu-error]", "line 3")
    rows = "".join(f"d{number}\n" for number in range(300))
    page.set_input_files("[name=p-devices-file]", [{**file, "buffer": f"name\n{rows}".encode()}])
    shows(page, "[data-nu-look]", "301 users")
    assert page.locator("[name=p-devices]").input_value().startswith("name\nd0\n")


def test_a_file_that_is_not_utf_8_is_not_taken_and_its_field_says_so(site, blueprint):
    page = site.open(f"{FORM}?name=ACME&services=orders")
    file = {"name": "geräte.csv", "mimeType": "text/csv"}
    error = "[data-nu-param=devices] [data-nu-error]"
    page.fill("[name=p-devices]", "name\nd1\n")
    with page.expect_response(lambda answer: "/look/" in answer.url):
        page.set_input_files("[name=p-devices-file]", [{**file, "buffer": "name\nTür\n".encode("cp1252")}])
    shows(page, error, "geräte.csv is not UTF-8: save it as “CSV UTF-8” and choose it again.")
    shows(page, "[data-nu-look]", "2 users")
    assert page.locator("[name=p-devices]").input_value() == "name\nd1\n"
    assert page.locator(error).is_visible()
    page.set_input_files("[name=p-devices-file]", [{**file, "buffer": "name\nTür\nTor\n".encode("utf-8-sig")}])
    shows(page, error, "line 2, column “name”")
    assert "UTF-8" not in page.locator(error).inner_text()
    assert page.locator("[name=p-devices]").input_value() == "name\nTür\nTor\n"


def test_what_people_write_never_becomes_markup(site, valkey):
    factories.system()
    save_blueprint(
        "blueprint: nasty\nversion: 1\n"
        f"title: {json.dumps(NASTY)}\ndescription: {json.dumps(NASTY)}\n"
        "parameters:\n  note: {type: text}\n"
        f"accounts:\n  - name: ACME\n    description: {'${note}'}\n"
    )
    job = make_job("failed", problem=NASTY, problem_step="enforced", results={NASTY: NASTY}, waits_for=NASTY)
    JobLine.objects.create(job=job, text=NASTY)
    page = site.open(CATALOGUE)
    site.go(page, "/admin/provisioning/blueprint/provision/nasty/")
    page.fill("[name=p-note]", NASTY)
    shows(page, "[data-nu-look]", "onerror")
    for path in ("/admin/provisioning/blueprint/text/nasty/", page_of(job), JOBS, "/admin/"):
        site.go(page, path)
        assert "onerror" in page.inner_text("#main, body")
    assert page.title() != "broken" and not page.locator("img[src=x]").count()


# --- a job at work -----------------------------------------------------------------------------------------------


def test_a_job_goes_on_before_one_s_eyes(site, valkey):
    job = make_job("running", parameters={"rows": [{"name": "d1"}]})
    page = site.open(page_of(job))
    assert watched(site, page) == [f"job:{job.pk}"]
    kind(page, "live")
    page.locator("[data-nu-job] details summary").click()
    page.get_by_role("link", name="Cancel").focus()
    Job.objects.filter(pk=job.pk).update(state="waiting", waits_for="n3")
    JobStep.objects.filter(job=job, number=2).update(waits_for="n3")
    JobLine.objects.create(job=job, step="enforced", text="Waits for n3.")
    tell(site, job, 1)
    shows(page, "[data-nu-job] .nu-note", "Waits for n3.")
    shows(page, ".nu-log", "Waits for n3.")
    assert page.locator("[data-nu-job] details").get_attribute("open") is not None
    assert page.evaluate("document.activeElement.textContent") == "Cancel"
    Job.objects.filter(pk=job.pk).update(state="done", waits_for="", ended_at=timezone.now())
    JobStep.objects.filter(job=job).update(state="done", waits_for="", ended_at=timezone.now())
    tell(site, job, 2)
    shows(page, "[data-nu-job] .nu-head .nu-chip", "done")
    page.get_by_role("link", name="Roll back").wait_for()
    until(page, lambda: 2 in site.wire.heard("ack"), "the frame was not acknowledged")


def test_where_there_is_no_socket_the_job_is_asked_for(site, valkey):
    job = make_job("running")
    site.wire.away = True
    page = site.open(page_of(job))
    kind(page, "polling")
    Job.objects.filter(pk=job.pk).update(state="failed", problem="no such server", problem_step="enforced")
    shows(page, "[data-nu-job] .nu-note", "no such server")


def test_a_still_page_stays_live_without_a_relay(site, valkey):
    job = make_job("waiting")
    page = site.open(page_of(job))
    kind(page, "live")
    site.wire.state(False, "The relay has been silent since then.")
    Job.objects.filter(pk=job.pk).update(state="failed", problem="lost and found")  # the word of it is lost
    shows(page, "[data-nu-job] .nu-note", "lost and found")
    kind(page, "live")


def test_states_of_a_list_turn(site, valkey):
    jobs = [make_job("running", accounts=[f"TEAM{number}"]) for number in range(3)]
    page = site.open(JOBS)
    assert watched(site, page) == ["jobs"]
    Job.objects.filter(pk=jobs[1].pk).update(state="failed", problem="no such server")
    tell(site, jobs[1], 1, "jobs")
    shows(page, f"[data-nu-job='{jobs[1].pk}']", "failed")
    shows(page, f"[data-nu-job-now='{jobs[1].pk}']", "no such server")
    assert "running" in page.locator(f"[data-nu-job='{jobs[0].pk}']").inner_text()
    newer = make_job("queued", accounts=["NEWER"])
    tell(site, newer, 2, "jobs")
    page.get_by_role("link", name="There are newer jobs: show them").click()
    shows(page, ".result-list", "NEWER")


# --- the hand-over -----------------------------------------------------------------------------------------------


def waiting(users, ready=True):
    """The token of a link to credentials of so many users."""
    cache.clear()
    account = factories.account("ACME")
    job = make_job("done")
    token, row = handover.new_link()
    row.job = job
    row.save()
    names = [f"svc-{number}" for number in range(users)]
    for name in names[:3]:
        factories.user(account, name, f"subscribe news.{name}")
    factories.stream(account, "NEWS", subjects=["news.>"])
    handover.seal(row, {name: NewSecret("nkey", f"SUAHUSH{name}") for name in names})
    if ready:
        handover.make_ready(row)
    return token


def saved(page, name):
    with page.expect_download() as download:
        page.get_by_role("button", name=name).first.click()
    return download.value.suggested_filename, Path(download.value.path()).read_bytes()


def test_credentials_are_picked_up_by_a_click_and_shown_once(site, valkey):
    token = waiting(1)
    page = site.open(f"/handover/#{token}")
    shows(page, "[data-about]", "the credentials of the user svc-0")
    assert not HandOver.objects.exclude(opened_at=None).exists()
    page.get_by_role("button", name="Show the credentials").click()
    shows(page, "pre.secret", "SUAHUSHsvc-0")
    assert "#" not in page.url
    assert HandOver.objects.get().opened_by == "ada"
    name, content = saved(page, "Download")
    assert name == "svc-0.nk" and content == b"SUAHUSHsvc-0\n"
    shows(page, ".uses", "may subscribe news.svc-0")
    shows(page, ".uses", "stream NEWS: news.>")
    shows(page, "pre.command", "--nkey svc-0.nk sub news.svc-0")
    page.locator("summary", has_text="Python").click()
    assert "SUAHUSHsvc-0" in page.locator("details", has_text="Python").inner_text()
    page.get_by_role("button", name="I have stored it").click()
    shows(page, "[data-part=over]", "Nothing is left on this page")
    assert "SUAHUSH" not in page.content()
    page.reload()
    shows(page, "[data-said]", "The credentials were shown here before.")
    site.complaints.clear()
    page = site.open(f"/handover/#{token}")
    shows(page, "[data-said]", "picked up already")
    assert not page.locator("[data-open-button]").is_visible()
    site.complaints.clear()  # the console tells of each answer that is no 200


def test_what_is_not_ready_yet_is_waited_for(site, valkey):
    token = waiting(1, ready=False)
    page = site.open(f"/handover/#{token}")
    shows(page, "[data-said]", "aren't ready yet")
    handover.make_ready(HandOver.objects.get())
    page.get_by_role("button", name="Show the credentials").wait_for()
    site.complaints.clear()


def test_an_address_that_is_not_whole_says_so(site, valkey):
    page = site.open("/handover/")
    shows(page, "[data-said]", "not whole")
    assert not page.locator("[data-open-button]").is_visible()


def test_a_thousand_credentials_come_as_files(site, valkey):
    page = site.open(f"/handover/#{waiting(1000)}")
    page.get_by_role("button", name="Show the credentials").click()
    shows(page, "[data-title]", "1,000 credentials")
    assert not page.locator("article").count()
    name, content = saved(page, "as JSON")
    assert name == "credentials.json" and json.loads(content)["svc-7"]["secret"] == "SUAHUSHsvc-7"
    name, content = saved(page, "as CSV")
    assert name == "credentials.csv" and b"svc-999,seed,SUAHUSHsvc-999," in content
    name, content = saved(page, "as ZIP")
    packed = zipfile.ZipFile(io.BytesIO(content))
    assert packed.testzip() is None and len(packed.namelist()) >= 1000
    assert packed.read("svc-0/svc-0.nk") == b"SUAHUSHsvc-0\n"
    page.fill("[data-choice]", "svc-2")
    shows(page, "article", "SUAHUSHsvc-2")
    page.get_by_role("button", name="I have stored it").click()


# --- how it looks ------------------------------------------------------------------------------------------------


@pytest.fixture
def pages(blueprint):
    account = factories.account("ORDERS")
    factories.user(account, "svc")
    waits = make_job("waiting", waits_for="n3", parameters={"name": "ACME", "rows": [{"a": 1}]})
    failed = make_job("failed", problem="The servers refuse it.", problem_step="enforced", blueprint="small-team")
    done = make_job("done", results={"users": 3}, ended_at=timezone.now())
    soon = timezone.now() + timedelta(days=1)
    HandOver.objects.create(job=done, public_key="k", token_sha256="1", users=["svc"], expires_at=soon)
    return [
        CATALOGUE,
        f"{FORM}?name=ACME&services=orders&keep=never",
        "/admin/provisioning/blueprint/text/small-team/",
        "/admin/provisioning/blueprint/add/?copy=small-team",
        "/admin/provisioning/blueprint/",
        JOBS,
        *map(page_of, (waits, failed, done)),
        act(waits, "cancel"),
        act(done, "hand-over"),
        reverse("admin:provisioning_job_retire", args=[account.pk]),
        "/handover/",
    ]


@pytest.mark.long
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 360)])
def test_pages_can_be_read_and_fit(site, pages, theme, width):
    page = site.open("/admin/", theme=theme, width=width)
    faint, wide = {}, {}
    for path in pages:
        site.go(page, path)
        page.wait_for_timeout(400 if "/provision/" in path else 50)
        if found := page.evaluate(CONTRAST):
            faint[path] = found
        if (over := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
            wide[path] = over
    assert not faint and not wide
