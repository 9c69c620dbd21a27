"""The start page of the admin."""

from django.contrib import admin

admin.site.index_template = "monitoring/start.html"
admin.site.index_title = "Overview"
admin.site.site_title = admin.site.site_header = "nunect"
