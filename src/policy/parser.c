/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Puts the lines that ini_parse() reads together to rules. Owns the rule in the making until it is whole and moved into
 * the policy. A rule with an error is reported and dropped: the policy is not used then, but the rest of the file is
 * still read, so that an admin sees everything in one go. One mistake gives one message: once the order of sections
 * is broken, nothing more is said about the order until the next [Match].
 */
#include "policy/parser.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/contradiction.h"
#include "policy/keys.h"
#include "policy/marks.h"
#include "util/cleanup.h"
#include "util/ini.h"

#define BLANKS " \t"
#define SEPARATORS BLANKS ","

struct parser {
	struct policy *policy;
	struct report *report;
	const char *path;
	unsigned int file;

	struct rule rule;
	bool open; /* `rule` has begun */
	bool broken; /* and something is wrong with it */
	bool disordered; /* with the order of its sections, even */
	bool section_seen[N_SECTIONS];
	struct report_place section_places[N_SECTIONS];

	enum rule_section section; /* the current one; N_SECTIONS: none, or an unknown one */
	bool key_seen[N_KEYS]; /* in the current section, well-formed or not */
	struct report_place key_places[N_KEYS];
	bool section_empty;
	bool need_given; /* what section_needs() says; or meant, where a line can't be read */
	bool denies; /* by a well-formed Action= */
};

static struct report_place report_place(const struct parser *parser, const struct ini_place *place)
{
	return (struct report_place){
		.path = parser->path, .order = parser->file + 1, .line = place->line, .column = place->column
	};
}

static void fail(struct parser *parser, const struct report_place *place, const char *message)
{
	parser->broken = true;
	report_error(parser->report, place, "%s", message);
}

/* Of one rule only the first is said. */
static void disorder(struct parser *parser, const struct report_place *place, const char *message)
{
	if (!parser->disordered)
		fail(parser, place, message);
	parser->disordered = true;
}

static void check_grant(struct parser *parser)
{
	parser->broken |= report_grant_contradictions(&parser->rule, parser->denies, parser->key_seen,
						      parser->key_places, parser->report);
	if (!parser->need_given)
		fail(parser, &parser->section_places[SECTION_GRANT], "[Grant] without Action=allow or Action=deny");
	if (!parser->rule.backends && !parser->denies)
		parser->rule.backends = POLICY_BACKEND_ANY;
}

static void end_section(struct parser *parser)
{
	switch (parser->section) {
	case SECTION_MATCH:
		if (parser->section_empty)
			fail(parser, &parser->section_places[SECTION_MATCH],
			     "[Match] is empty; one that shall fit every device says Address=*");
		break;
	case SECTION_POOL:
		if (!parser->need_given)
			fail(parser, &parser->section_places[SECTION_POOL], "[Pool] without Name=, the pool's name");
		else if (parser->rule.conditions[KEY_POOL].n > 0)
			fail(parser, &parser->section_places[SECTION_POOL],
			     "[Pool] behind a [Match] with Pool=: pools are not made of pools");
		break;
	case SECTION_HOST:
		if (!parser->need_given)
			fail(parser, &parser->section_places[SECTION_HOST],
			     "[Host] without NumVFs=, the number of virtual functions");
		break;
	case SECTION_CLIENT:
		if (parser->section_empty)
			fail(parser, &parser->section_places[SECTION_CLIENT],
			     "[Client] is empty; one that shall fit everybody says User=*");
		break;
	case SECTION_GRANT:
		check_grant(parser);
		break;
	case N_SECTIONS:
		break;
	}
	parser->section = N_SECTIONS;
	memset(parser->key_seen, 0, sizeof(parser->key_seen));
}

static bool has_marks(const struct parser *parser)
{
	return parser->section_seen[SECTION_POOL] || parser->section_seen[SECTION_HOST];
}

static void check_sections(struct parser *parser)
{
	if (!parser->section_seen[SECTION_CLIENT] && has_marks(parser))
		return;
	if (!parser->section_seen[SECTION_CLIENT])
		disorder(parser, &parser->section_places[SECTION_MATCH],
			 "this rule has no [Client] and no [Grant]; a rule is [Match], [Client], [Grant]");
	else if (!parser->section_seen[SECTION_GRANT])
		disorder(parser, &parser->section_places[SECTION_MATCH],
			 "this rule has no [Grant]; a rule is [Match], [Client], [Grant]");
}

/* Of one run: a mark, a rule, or both. */
static int keep_rule(struct parser *parser)
{
	int r = has_marks(parser) ? policy_add_mark(parser->policy, &parser->rule) : 0;

	if (r == 0 && parser->section_seen[SECTION_GRANT])
		r = policy_add_rule(parser->policy, &parser->rule);
	return r;
}

static void end_rule(struct parser *parser)
{
	end_section(parser);
	if (parser->open && !parser->disordered)
		check_sections(parser);
	if (parser->open && !parser->broken)
		parser->broken = report_match_contradictions(&parser->rule, parser->path, parser->report);
	if (parser->open && !parser->broken && keep_rule(parser) < 0)
		parser->report->fault = -ENOMEM;
	rule_clear(&parser->rule);
	memset(parser->section_seen, 0, sizeof(parser->section_seen));
	parser->open = false;
	parser->broken = false;
	parser->disordered = false;
}

static void begin_rule(struct parser *parser, const struct report_place *place)
{
	end_rule(parser);
	parser->open = true;
	parser->rule = (struct rule){
		.file = parser->file,
		.line = place->line,
		.column = place->column,
		.conduct.release_timeout_sec = POLICY_RELEASE_TIMEOUT_SEC,
	};
}

/* Of [Pool] and [Host], which stand behind [Match] and before [Client]. */
static void order_mark(struct parser *parser, enum rule_section section, const struct report_place *place)
{
	bool behind = parser->section_seen[SECTION_GRANT];
	char message[120];

	if (!parser->open || behind) {
		begin_rule(parser, place);
		snprintf(message, sizeof(message), "[%s] without a [Match] before it, which says for which devices",
			 rule_sections[section]);
	} else if (parser->section_seen[section]) {
		snprintf(message, sizeof(message), "second [%s] behind one [Match]; give it a [Match] of its own",
			 rule_sections[section]);
	} else if (parser->section_seen[SECTION_CLIENT]) {
		snprintf(message, sizeof(message), "[%s] behind [Client]; it stands between [Match] and [Client]",
			 rule_sections[section]);
	} else {
		return;
	}
	disorder(parser, place, message);
}

/* Whether `section` may come now; says it if not. May begin a new rule. */
static void order_section(struct parser *parser, enum rule_section section, const struct report_place *place)
{
	switch (section) {
	case SECTION_MATCH:
		begin_rule(parser, place);
		break;
	case SECTION_POOL:
	case SECTION_HOST:
		order_mark(parser, section, place);
		break;
	case SECTION_CLIENT:
		if (!parser->open || parser->section_seen[SECTION_GRANT]) {
			begin_rule(parser, place);
			disorder(parser, place, "[Client] without a [Match] before it; for every device say Address=*");
		} else if (parser->section_seen[SECTION_CLIENT]) {
			disorder(parser, place, "second [Client] in one rule; each rule begins with its own [Match]");
		}
		break;
	case SECTION_GRANT:
		if (!parser->open) {
			begin_rule(parser, place);
			disorder(parser, place, "[Grant] without [Match] and [Client] before it");
		} else if (parser->section_seen[SECTION_GRANT]) {
			disorder(parser, place, "second [Grant] in one rule; each rule begins with its own [Match]");
		} else if (!parser->section_seen[SECTION_CLIENT]) {
			disorder(parser, place, "[Grant] without a [Client] before it; for everybody say User=*");
		}
		break;
	case N_SECTIONS:
		break;
	}
}

static void on_section(void *userdata, const struct ini_place *ini_place, const char *name)
{
	struct parser *parser = userdata;
	struct report_place place = report_place(parser, ini_place);
	struct complaint complaint;
	enum rule_section section = find_section(name, &complaint);

	end_section(parser);
	if (section == N_SECTIONS) {
		/* It may have been meant for any of them, but behind a [Grant] only for the next rule's. */
		if (!parser->open || parser->section_seen[SECTION_GRANT])
			begin_rule(parser, &place);
		disorder(parser, &place, complaint.message);
		return;
	}
	order_section(parser, section, &place);
	parser->section = section;
	parser->section_seen[section] = true;
	parser->section_places[section] = place;
	parser->section_empty = true;
	parser->need_given = false;
	parser->denies = false;
}

static int parse_text(struct parser *parser, enum rule_key key, const struct report_place *place, const char *text,
		      struct complaint *complaint)
{
	struct item item = {};
	int r;

	if (rule_keys[key].parse_value)
		return rule_keys[key].parse_value(text, &parser->rule, complaint);
	r = key_parse_item(key, text, &item, complaint);
	if (r < 0)
		return r;
	item.line = place->line;
	item.column = place->column;
	r = condition_add(&parser->rule.conditions[key], &item);
	item_clear(&item);
	return r;
}

/* `place` is where `text` begins in the file. */
static void parse_one(struct parser *parser, enum rule_key key, struct report_place place, const char *text)
{
	struct complaint complaint;
	int r = parse_text(parser, key, &place, text, &complaint);

	if (r == -EINVAL) {
		place.column += (unsigned int)complaint.offset;
		fail(parser, &place, complaint.message);
	} else if (r < 0) {
		parser->report->fault = r;
	} else if (key == KEY_ACTION) {
		parser->denies = parser->rule.action == POLICY_DENY;
	}
}

static void parse_list(struct parser *parser, enum rule_key key, const struct report_place *place, const char *value)
{
	const char *separators = rule_keys[key].commas ? BLANKS : SEPARATORS;
	char item[INI_LINE_MAX + 1];

	for (const char *p = value + strspn(value, separators); *p; p += strspn(p, separators)) {
		struct report_place item_place = *place;
		size_t length = strcspn(p, separators);

		item_place.column += (unsigned int)(p - value);
		memcpy(item, p, length);
		item[length] = '\0';
		parse_one(parser, key, item_place, item);
		p += length;
	}
}

static bool is_repeated(struct parser *parser, enum rule_key key, const struct report_place *place)
{
	if (parser->key_seen[key]) {
		parser->broken = true;
		report_error(parser->report, place, "repeated key '%s' in [%s]; the first is in line %u%s",
			     rule_keys[key].name, rule_sections[parser->section], parser->key_places[key].line,
			     rule_keys[key].list ? ", and takes a list" : "");
		return true;
	}
	parser->key_seen[key] = true;
	parser->key_places[key] = *place;
	return false;
}

/* For those who ask what the rules are; what is said of pools and of the host is no rule. */
static void keep_text(struct parser *parser, enum rule_key key, const char *value)
{
	enum rule_section section = rule_keys[key].section;

	if (section != SECTION_POOL && section != SECTION_HOST &&
	    rule_add_text(&parser->rule, rule_keys[key].name, value) < 0)
		parser->report->fault = -ENOMEM;
}

static void on_value(void *userdata, const struct ini_place *key_place, const char *name,
		     const struct ini_place *value_place, const char *value)
{
	struct parser *parser = userdata;
	struct report_place at_key = report_place(parser, key_place), at_value = report_place(parser, value_place);
	struct complaint complaint;
	enum rule_key key, need = section_needs(parser->section);

	if (parser->section == N_SECTIONS)
		return;
	parser->section_empty = false;
	key = find_key(parser->section, name, &complaint);
	if (key == N_KEYS) {
		fail(parser, &at_key, complaint.message);
		parser->need_given |= complaint.meant == need;
		return;
	}
	parser->need_given |= key == need;
	if (is_repeated(parser, key, &at_key))
		return;
	keep_text(parser, key, value);
	if (value[strspn(value, SEPARATORS)] == '\0') {
		parser->broken = true;
		report_error(parser->report, &at_value, "'%s' has no value", name);
	} else if (rule_keys[key].list) {
		parse_list(parser, key, &at_value, value);
	} else {
		parse_one(parser, key, at_value, value);
	}
}

static void on_error(void *userdata, const struct ini_place *ini_place, const char *message)
{
	struct parser *parser = userdata;
	struct report_place place = report_place(parser, ini_place);

	/* The line may have been the key that the section lacks. */
	parser->section_empty = false;
	parser->need_given = true;
	fail(parser, &place, message);
}

static const struct ini_handler handler = {
	.section = on_section,
	.value = on_value,
	.error = on_error,
};

void policy_parse(struct policy *policy, unsigned int file, const char *text, size_t size, struct report *report)
{
	struct parser parser = {
		.policy = policy,
		.report = report,
		.path = policy->files[file],
		.file = file,
		.section = N_SECTIONS,
	};

	ini_parse(parser.path, text, size, &handler, &parser);
	end_rule(&parser);
}
