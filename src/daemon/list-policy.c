/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Parts of a rule are cut at PART_MAX bytes; the file has all. */
#include "daemon/list-policy.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/policy-files.h"
#include "util/cleanup.h"
#include "util/json-build.h"

#define PART_MAX 4096
#define N_COLUMNS 5

static const char *const headings[N_COLUMNS] = { "RULE", "ACTION", "MATCH", "CLIENT", "GRANT" };

/* The cells of one rule, in the order of the headings. */
struct row {
	char cells[N_COLUMNS][PART_MAX];
};

static const char *action_name(enum policy_action action)
{
	return action == POLICY_ALLOW ? "allow" : "deny";
}

static void fill_row(const struct policy *policy, size_t rule, struct row *row)
{
	static const enum policy_part parts[] = { POLICY_PART_MATCH, POLICY_PART_CLIENT, POLICY_PART_GRANT };
	struct policy_place place = policy_rule_place(policy, rule);

	snprintf(row->cells[0], PART_MAX, "%s:%u", place.file, place.line);
	snprintf(row->cells[1], PART_MAX, "%s", action_name(place.action));
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		policy_rule_part(policy, rule, parts[i], row->cells[2 + i], PART_MAX);
}

/* ---- aligned ---- */

static void measure(const struct policy *policy, struct row *row, int *widths)
{
	for (size_t column = 0; column < N_COLUMNS; column++)
		widths[column] = (int)strlen(headings[column]);
	for (size_t i = 0; i < policy_n_rules(policy); i++) {
		fill_row(policy, i, row);
		for (size_t column = 0; column < N_COLUMNS; column++)
			if (widths[column] < (int)strlen(row->cells[column]))
				widths[column] = (int)strlen(row->cells[column]);
	}
}

/* Without blanks at the end of the line. */
static void print_row(const char *const *cells, const int *widths)
{
	size_t last = N_COLUMNS - 1;

	while (last > 0 && !cells[last][0])
		last--;
	for (size_t i = 0; i < last; i++)
		printf("%-*s  ", widths[i], cells[i]);
	printf("%s\n", cells[last]);
}

static const char *state_text(const struct policy_file *file)
{
	switch (file->state) {
	case POLICY_FILE_READ:
		return "read";
	case POLICY_FILE_MASKS:
		return "masks its name";
	case POLICY_FILE_OVERRIDDEN:
		return "overridden by the one in";
	case POLICY_FILE_BAD:
		return "bad";
	}
	return "";
}

static void print_file(void *userdata, const struct policy_file *file)
{
	if (file->state != POLICY_FILE_READ)
		printf("%s/%s: %s%s%s\n", file->dir, file->name, state_text(file), file->by ? " " : "",
		       file->by ? file->by : "");
}

static int print_text(const struct options *options, const struct policy *policy, struct row *row)
{
	int widths[N_COLUMNS];

	measure(policy, row, widths);
	if (policy_n_rules(policy) == 0)
		puts("no rules: everything is denied");
	else
		print_row(headings, widths);
	for (size_t i = 0; i < policy_n_rules(policy); i++) {
		const char *cells[N_COLUMNS];

		fill_row(policy, i, row);
		for (size_t column = 0; column < N_COLUMNS; column++)
			cells[column] = row->cells[column];
		print_row(cells, widths);
	}
	return policy_list_files(policy_files_dirs(options), options->any_owner, print_file, NULL);
}

/* ---- JSON ---- */

static void add_file(void *userdata, const struct policy_file *file)
{
	static const char *const states[] = {
		[POLICY_FILE_READ] = "read",
		[POLICY_FILE_MASKS] = "masks",
		[POLICY_FILE_OVERRIDDEN] = "overridden",
		[POLICY_FILE_BAD] = "bad",
	};
	struct json_build *list = userdata, entry = json_build_object();

	json_build_text(&entry, "dir", file->dir);
	json_build_text(&entry, "name", file->name);
	json_build_text(&entry, "state", states[file->state]);
	json_build_text(&entry, "by", file->by);
	json_build_add(list, NULL, json_build_end(&entry));
}

static json_object *convert_rules(const struct policy *policy, struct row *row)
{
	struct json_build list = json_build_array();

	for (size_t i = 0; i < policy_n_rules(policy); i++) {
		struct policy_place place = policy_rule_place(policy, i);
		struct json_build rule = json_build_object();

		fill_row(policy, i, row);
		json_build_text(&rule, "file", place.file);
		json_build_number(&rule, "line", place.line);
		json_build_text(&rule, "action", action_name(place.action));
		json_build_text(&rule, "match", row->cells[2]);
		json_build_text(&rule, "client", row->cells[3]);
		json_build_text(&rule, "grant", row->cells[4]);
		json_build_add(&list, NULL, json_build_end(&rule));
	}
	return json_build_end(&list);
}

static int print_json(const struct options *options, const struct policy *policy, struct row *row)
{
	bool pretty = strcmp(options->list_policy, "pretty") == 0;
	int flags = pretty ? JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED : JSON_C_TO_STRING_PLAIN;
	struct json_build build = json_build_object(), files = json_build_array();
	json_object *object;
	int r = policy_list_files(policy_files_dirs(options), options->any_owner, add_file, &files);

	json_build_add(&build, "rules", convert_rules(policy, row));
	json_build_add(&build, "files", json_build_end(&files));
	object = json_build_end(&build);
	if (!object)
		return -ENOMEM;
	puts(json_object_to_json_string_ext(object, flags | JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(object);
	return r;
}

int list_policy(const struct options *options)
{
	_cleanup_free_ struct row *row = malloc(sizeof(*row));
	struct policy_report report = { 0 };
	struct policy *policy = NULL;
	int r = row ? policy_files_read(options, &policy, &report) : -ENOMEM;

	if (r == 0)
		r = strcmp(options->list_policy, "text") == 0 ? print_text(options, policy, row)
							      : print_json(options, policy, row);
	if (r == -ENOMEM)
		fputs("iommud: out of memory\n", stderr);
	policy_report_clear(&report);
	policy_free(policy);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
