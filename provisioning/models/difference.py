"""What a system that is only observed runs, beside what nunect would write there."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts_app.models import System

OWN = "nunect adds what is its own"  # how the sentence begins that stands in `own` while the conf lacks it


class Difference(models.Model):
    """The last look at an observed system. Made by looking, never edited.

    where: the file that was read, "" when there is none. words: what would change for people if nunect wrote, as
    Revision.changes has it; [] and no `unknown` when nothing would. own: the same of what nunect does whatever the
    rows say. ours, theirs: digests of both sides in one and the same spelling, without what is nunect's own, "" where
    that can't be made. unknown: why the sides can't be compared. servers: [{name, digest, runs_it, refusal, where}],
    whether each runs what stands in its main file `where` (None, and "": that file isn't here), and in its own words
    why it would not take that; unasked: why no server was asked. Words of further main files begin with their name.
    """

    system = models.OneToOneField(System, models.CASCADE, related_name="difference")
    where = models.CharField(max_length=500, blank=True, default="")
    words = models.JSONField(default=list)
    own = models.JSONField(default=list)
    ours = models.CharField(max_length=80, blank=True, default="")
    theirs = models.CharField(max_length=80, blank=True, default="")
    unknown = models.TextField(blank=True, default="")
    servers = models.JSONField(default=list)
    unasked = models.TextField(blank=True, default="")
    checked_at = models.DateTimeField()

    class Meta:
        verbose_name = _("difference")
        permissions = [("take_over_server", _("Can take over servers of this machine"))]

    def __str__(self) -> str:
        return f"{self.system}: {self.summary}"

    @property
    def is_none(self) -> bool:
        """Whether nunect would write what runs."""
        return not self.unknown and not self.words and not self._others()

    @property
    def summary(self) -> str:
        """The look in one sentence."""
        if self.unknown:
            return self.unknown
        if other := self._others():
            refuses = any(server.get("refusal") for server in self.servers)
            more = ", which it would refuse: it could not start again" if refuses else ""
            files = {server.get("where") or self.where: None for server in self.servers if server["runs_it"] is False}
            return f"{', '.join(other)} runs something else than what stands in {', '.join(files)}{more}."
        if not self.words:
            return f"nunect would write what {self.where} says."
        return f"nunect would change {len(self.words)} {'thing' if len(self.words) == 1 else 'things'}."

    @property
    def knows_nunect(self) -> bool:
        """Whether the conf that was read, if one was, names every user of nunect's own."""
        return not any(word["text"].startswith(OWN) for word in self.own)

    def _others(self) -> list[str]:
        return [server["name"] for server in self.servers if server["runs_it"] is False]
