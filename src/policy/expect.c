/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads files of expectations, and holds decisions against them. Owns the texts of what it returns. */
#include "policy/expect.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/expect-device.h"
#include "policy/keys.h"
#include "policy/nearest.h"
#include "policy/report.h"
#include "util/cleanup.h"
#include "util/ini.h"

enum expect_section { EXPECT_DEVICE, EXPECT_QUESTION, EXPECT_NOWHERE };
enum expect_key { EXPECT_AS, EXPECT_DECISION, EXPECT_RULE, EXPECT_BACKEND, EXPECT_LABEL, N_EXPECT_KEYS };

#define SECTION_NAMES "[Device] and [Expect]"

static const char *const sections[] = { [EXPECT_DEVICE] = "Device", [EXPECT_QUESTION] = "Expect" };
static const char *const keys[N_EXPECT_KEYS] = {
	[EXPECT_AS] = "As",           [EXPECT_DECISION] = "Decision", [EXPECT_RULE] = "Rule",
	[EXPECT_BACKEND] = "Backend", [EXPECT_LABEL] = "Label",
};

struct expect_parser {
	const char *path;
	struct report report;
	struct expectations *out;

	enum expect_section section;
	struct report_place section_place;
	struct expected_device device;
	struct expectation expectation;
	bool fact_seen[N_KEYS];
	bool key_seen[N_EXPECT_KEYS];
};

static struct report_place place_of(const struct expect_parser *parser, const struct ini_place *place)
{
	return (struct report_place){ .path = parser->path, .line = place->line, .column = place->column };
}

static void expectation_clear(struct expectation *expectation)
{
	free(expectation->as);
	free(expectation->rule);
	free(expectation->label);
	*expectation = (struct expectation){};
}

/* Room for one more of `size` bytes each; the list is grown one by one, for such files are short. */
static int grow(void *list, size_t n, size_t size)
{
	void *larger = reallocarray(*(void **)list, n + 1, size);

	if (!larger)
		return -ENOMEM;
	*(void **)list = larger;
	return 0;
}

static int copy_text(char **target, const char *text)
{
	free(*target);
	*target = strndup(text, strlen(text));
	return *target ? 0 : -ENOMEM;
}

/* ---- what is expected ---- */

static int parse_decision(struct expectation *expectation, const char *value, struct complaint *complaint)
{
	bool allow = strcmp(value, "allow") == 0;

	if (!allow && strcmp(value, "deny") != 0)
		return complain(complaint, 0, "Decision is allow or deny, not '%.*s'", quote_length(value), value);
	expectation->action = allow ? POLICY_ALLOW : POLICY_DENY;
	return 0;
}

static int parse_backends(struct expectation *expectation, const char *value, struct complaint *complaint)
{
	struct rule rule = {};
	char word[INI_LINE_MAX + 1];
	int r = 0;

	for (const char *p = value + strspn(value, " \t,"); *p && r == 0; p += strspn(p, " \t,")) {
		size_t length = strcspn(p, " \t,");

		snprintf(word, sizeof(word), "%.*s", (int)length, p);
		r = parse_backend(word, &rule, complaint);
		p += length;
	}
	expectation->backends = rule.backends;
	return r;
}

/* "none", or a file's name with a line: "50-net.policy:7". */
static int parse_rule_place(struct expectation *expectation, const char *value, struct complaint *complaint)
{
	const char *colon = strrchr(value, ':');

	if (strcmp(value, EXPECT_RULE_NONE) != 0 &&
	    (!colon || colon == value || !colon[1] || colon[1 + strspn(colon + 1, "0123456789")]))
		return complain(complaint, 0, "'%.*s' is no rule: FILE:LINE, as in 50-net.policy:7, or none",
				quote_length(value), value);
	return copy_text(&expectation->rule, value);
}

static enum expect_key find_expect_key(const char *name, struct complaint *complaint)
{
	struct nearest nearest;
	const char *hint;

	nearest_begin(&nearest, name);
	for (enum expect_key i = 0; i < N_EXPECT_KEYS; i++) {
		if (strcmp(keys[i], name) == 0)
			return i;
		nearest_offer(&nearest, keys[i]);
	}
	hint = nearest_get(&nearest);
	complain(complaint, 0, "unknown key '%.*s' in [Expect]%s%s%s", quote_length(name), name,
		 hint ? "; did you mean '"
		      : ", which takes As, Unit, Slice, Executable, AppArmor, Decision, Rule, Backend, Label",
		 hint ? hint : "", hint ? "'?" : "");
	return N_EXPECT_KEYS;
}

static int parse_expected(struct expect_parser *parser, const char *name, const char *value,
			  struct complaint *complaint)
{
	struct expectation *expectation = &parser->expectation;
	int r = expect_client_fact(&expectation->client, parser->fact_seen, name, value, complaint);
	enum expect_key key;

	if (r != -ENOENT)
		return r;
	key = find_expect_key(name, complaint);
	if (key == N_EXPECT_KEYS)
		return -EINVAL;
	if (parser->key_seen[key])
		return complain(complaint, 0, "repeated key '%s' in one [Expect]", name);
	parser->key_seen[key] = true;
	switch (key) {
	case EXPECT_AS:
		return copy_text(&expectation->as, value);
	case EXPECT_DECISION:
		return parse_decision(expectation, value, complaint);
	case EXPECT_RULE:
		return parse_rule_place(expectation, value, complaint);
	case EXPECT_BACKEND:
		return parse_backends(expectation, value, complaint);
	case EXPECT_LABEL:
		return copy_text(&expectation->label, value);
	case N_EXPECT_KEYS:
		break;
	}
	return -EINVAL;
}

/* ---- sections ---- */

static int keep_device(struct expect_parser *parser)
{
	struct expectations *out = parser->out;

	if (grow(&out->devices, out->n_devices, sizeof(out->devices[0])) < 0)
		return -ENOMEM;
	out->devices[out->n_devices++] = parser->device;
	return 0;
}

static int keep_expectation(struct expect_parser *parser)
{
	struct expectations *out = parser->out;

	if (grow(&out->list, out->n, sizeof(out->list[0])) < 0)
		return -ENOMEM;
	parser->expectation.device = out->n_devices - 1;
	parser->expectation.line = parser->section_place.line;
	/* The slice that services are in unless they say another. */
	if (parser->expectation.client.unit[0] && !parser->expectation.client.slice[0])
		strcpy(parser->expectation.client.slice, "system.slice");
	out->list[out->n++] = parser->expectation;
	parser->expectation = (struct expectation){};
	return 0;
}

static void end_device(struct expect_parser *parser)
{
	if (!parser->fact_seen[KEY_ADDRESS])
		report_error(&parser->report, &parser->section_place, "[Device] without Address=");
	if (keep_device(parser) < 0)
		parser->report.fault = -ENOMEM;
}

static void end_expectation(struct expect_parser *parser)
{
	bool denies = parser->expectation.action == POLICY_DENY && parser->key_seen[EXPECT_DECISION];
	const struct report_place *place = &parser->section_place;

	if (parser->out->n_devices == 0)
		report_error(&parser->report, place, "[Expect] without a [Device] before it, which says about what");
	if (!parser->key_seen[EXPECT_AS])
		report_error(&parser->report, place, "[Expect] without As=, who asks");
	if (!parser->key_seen[EXPECT_DECISION])
		report_error(&parser->report, place, "[Expect] without Decision=allow or Decision=deny");
	if (denies && (parser->key_seen[EXPECT_BACKEND] || parser->key_seen[EXPECT_LABEL]))
		report_error(&parser->report, place,
			     "Backend= and Label= are of what is allowed, not of Decision=deny");
	if (parser->report.n_errors == 0 && keep_expectation(parser) < 0)
		parser->report.fault = -ENOMEM;
}

static void end_section(struct expect_parser *parser)
{
	if (parser->section == EXPECT_DEVICE)
		end_device(parser);
	else if (parser->section == EXPECT_QUESTION)
		end_expectation(parser);
	expectation_clear(&parser->expectation);
	parser->section = EXPECT_NOWHERE;
}

static void on_section(void *userdata, const struct ini_place *ini_place, const char *name)
{
	struct expect_parser *parser = userdata;
	struct nearest nearest;
	const char *hint;

	end_section(parser);
	parser->section_place = place_of(parser, ini_place);
	parser->device = (struct expected_device){ .numa_node = -1 };
	memset(parser->fact_seen, 0, sizeof(parser->fact_seen));
	memset(parser->key_seen, 0, sizeof(parser->key_seen));
	nearest_begin(&nearest, name);
	for (enum expect_section i = 0; i < EXPECT_NOWHERE; i++) {
		nearest_offer(&nearest, sections[i]);
		if (strcmp(sections[i], name) == 0)
			parser->section = i;
	}
	if (parser->section != EXPECT_NOWHERE)
		return;
	hint = nearest_get(&nearest);
	report_error(&parser->report, &parser->section_place, "unknown section [%.*s]; %s%s%s", quote_length(name),
		     name, hint ? "did you mean [" : "there are " SECTION_NAMES, hint ? hint : "", hint ? "]?" : "");
}

static void on_value(void *userdata, const struct ini_place *key_place, const char *name,
		     const struct ini_place *value_place, const char *value)
{
	struct expect_parser *parser = userdata;
	struct report_place place = place_of(parser, key_place);
	struct complaint complaint = {};
	int r = 0;

	if (parser->section == EXPECT_NOWHERE)
		return;
	if (!value[0])
		r = complain(&complaint, 0, "'%s' has no value", name);
	else if (parser->section == EXPECT_DEVICE)
		r = expect_fact(&parser->device, parser->fact_seen, name, value, &complaint);
	else
		r = parse_expected(parser, name, value, &complaint);
	if (r == -EINVAL)
		report_error(&parser->report, &place, "%s", complaint.message);
	else if (r < 0)
		parser->report.fault = r;
}

static void on_error(void *userdata, const struct ini_place *ini_place, const char *message)
{
	struct expect_parser *parser = userdata;
	struct report_place place = place_of(parser, ini_place);

	report_error(&parser->report, &place, "%s", message);
}

int expectations_parse(const char *path, const char *text, size_t size, struct expectations *ret,
		       struct policy_report *report)
{
	static const struct ini_handler handler = { .section = on_section, .value = on_value, .error = on_error };
	struct expectations out = {};
	struct expect_parser parser = { .path = path, .out = &out, .section = EXPECT_NOWHERE };
	int r;

	ini_parse(path, text, size, &handler, &parser);
	end_section(&parser);
	r = report_render(&parser.report, report);
	report_clear(&parser.report);
	if (r == 0 && report->n_errors > 0)
		r = -EINVAL;
	if (r < 0)
		expectations_clear(&out);
	*ret = out;
	return r;
}

void expectations_clear(struct expectations *expectations)
{
	for (size_t i = 0; i < expectations->n; i++)
		expectation_clear(&expectations->list[i]);
	free(expectations->list);
	free(expectations->devices);
	*expectations = (struct expectations){};
}

/* ---- against a decision ---- */

/* "50-net.policy:7" is a rule of that file in whatever folder; with a folder it is that one's. */
static bool is_rule(const char *expected, const struct policy_decision *decision)
{
	char place[1024];
	size_t length, tail = strlen(expected);

	if (!decision->file)
		return strcmp(expected, EXPECT_RULE_NONE) == 0;
	length = (size_t)snprintf(place, sizeof(place), "%s:%u", decision->file, decision->line);
	if (length >= sizeof(place) || length < tail || strcmp(place + length - tail, expected) != 0)
		return false;
	return length == tail || place[length - tail - 1] == '/';
}

static const char *backends_text(unsigned int backends)
{
	if (backends == POLICY_BACKEND_ANY)
		return "auto";
	return backends == POLICY_BACKEND_IOMMUFD ? "iommufd" : "legacy";
}

bool expectation_holds(const struct expectation *expectation, const struct policy_decision *decision, char *why,
		       size_t size)
{
	const char *label = decision->label_kind != POLICY_LABEL_NONE && decision->label ? decision->label : "none";

	if (decision->action != expectation->action)
		snprintf(why, size, "Decision=%s is expected, but it is %s",
			 expectation->action == POLICY_ALLOW ? "allow" : "deny", decision->reason);
	else if (expectation->rule && !is_rule(expectation->rule, decision))
		snprintf(why, size, "Rule=%s is expected to decide, but it is %s", expectation->rule, decision->reason);
	else if (expectation->backends && expectation->backends != decision->backends)
		snprintf(why, size, "Backend=%s is expected, but %s:%u has %s", backends_text(expectation->backends),
			 decision->file, decision->line, backends_text(decision->backends));
	else if (expectation->label && strcmp(expectation->label, label) != 0)
		snprintf(why, size, "Label=%s is expected, but %s:%u gives %s", expectation->label, decision->file,
			 decision->line, label);
	else
		return true;
	return false;
}
