/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "varlink/convert-rules.h"

#include "util/json-build.h"

/*
 * What a rule wants names users, units and devices of others; that it is about the caller's user, or about this device, the
 * caller may know.
 */
json_object *convert_passed_rules(const struct explanation *explanation, bool all)
{
	struct json_build list = json_build_array();

	for (size_t i = 0; i < explanation->n_passed; i++) {
		const struct policy_miss *missed = &explanation->passed[i];
		struct json_build rule = json_build_object();

		json_build_text(&rule, "file", missed->file);
		json_build_number(&rule, "line", missed->line);
		json_build_text(&rule, "action", missed->action == POLICY_ALLOW ? "allow" : "deny");
		json_build_text(&rule, "key", missed->key);
		json_build_text(&rule, "wanted", all ? missed->wanted : NULL);
		json_build_text(&rule, "found", missed->found);
		json_build_add(&list, NULL, json_build_end(&rule));
	}
	return json_build_end(&list);
}
