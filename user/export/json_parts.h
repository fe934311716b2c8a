/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The parts of the JSON report that have a file of their own: keys of the object that is open. */
#ifndef LT_EXPORT_JSON_PARTS_H
#define LT_EXPORT_JSON_PARTS_H

#include "base/json.h"
#include "report/report.h"

/* Of a report: what the runtime of its language says of itself. */
void lt_json_runtime(struct lt_json *json, const struct lt_report *report);
/* Of a site: what is said of goroutines only, and whether it is an estimate. */
void lt_json_go_site(struct lt_json *json, const struct lt_report_site *site);

#endif
