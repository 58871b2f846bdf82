/* SPDX-License-Identifier: GPL-2.0-or-later */
/* getopt_long() by a table; its messages are ours, for they say what may have been meant. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "errors.h"
#include "suggest.h"

/* What the daemon takes at most. */
#define COUNT_MAX 16
#define WAIT_MAX 3600
#define NUMA_NODE_MAX 65535

enum option_key {
	KEY_HELP = 256, /* beyond all characters, which getopt returns for unknown short options */
	KEY_VERSION,
	KEY_SOCKET,
	KEY_COLOR,
	KEY_JSON,
	KEY_NO_LEGEND,
	KEY_AS,
	KEY_BACKEND,
	KEY_CONSENT,
	KEY_YES,
	KEY_POOL,
	KEY_COUNT,
	KEY_NUMA_NODE,
	KEY_WAIT,
	KEY_REASON,
};

static const struct option_info {
	const char *name;
	enum option_key key;
	int has_argument;
	unsigned int bit; /* 0: for all verbs */
	const char *usage;
	const char *help;
} infos[] = {
	{ "json", KEY_JSON, optional_argument, OPTION_JSON, "--json[=pretty|short|off]", "print JSON" },
	{ "no-legend", KEY_NO_LEGEND, no_argument, OPTION_LEGEND, "--no-legend", "no headings, no remarks" },
	{ "as", KEY_AS, required_argument, OPTION_AS, "--as=USER[:GROUP][@CONTEXT]",
	  "ask for somebody else (for root)" },
	{ "backend", KEY_BACKEND, required_argument, OPTION_BACKEND, "--backend=auto|iommufd|legacy",
	  "the kernel interface to be handed out" },
	{ "consent", KEY_CONSENT, required_argument, OPTION_CONSENT, "--consent=TOKEN",
	  "what else is in the group is known: the token of explain" },
	{ "yes", KEY_YES, no_argument, OPTION_YES, "--yes", "the same, whatever it is" },
	{ "pool", KEY_POOL, required_argument, OPTION_POOL, "--pool=NAME", "any free device of this pool" },
	{ "count", KEY_COUNT, required_argument, OPTION_POOL, "--count=N", "so many of the pool" },
	{ "numa-node", KEY_NUMA_NODE, required_argument, OPTION_POOL, "--numa-node=N",
	  "of the pool, those near this node first" },
	{ "wait", KEY_WAIT, required_argument, OPTION_WAIT, "--wait=SECONDS", "wait, in line, for what others have" },
	{ "reason", KEY_REASON, required_argument, OPTION_REASON, "--reason=TEXT",
	  "why, for the client and the journal" },
	{ "socket", KEY_SOCKET, required_argument, 0, "--socket=PATH", "iommud's socket" },
	{ "color", KEY_COLOR, required_argument, 0, "--color=auto|always|never", "colours" },
	{ "help", KEY_HELP, no_argument, 0, "-h, --help", "this text" },
	{ "version", KEY_VERSION, no_argument, 0, "--version", "iommuctl's version" },
};

/* The position of `word` in `words`, or -1. */
static int find_word(const char *word, const char *const *words, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	return -1;
}

static int set_json(struct options *options, const char *word)
{
	static const char *const words[] = { [JSON_OFF] = "off", [JSON_PRETTY] = "pretty", [JSON_SHORT] = "short" };
	int mode = word ? find_word(word, words, ARRAY_SIZE(words)) : JSON_PRETTY;

	if (mode < 0)
		return complain_usage("--json is pretty, short or off, not '%s'", word);
	options->json = mode;
	return 0;
}

static int set_color(struct options *options, const char *word)
{
	static const char *const words[] = {
		[COLOR_AUTO] = "auto", [COLOR_ALWAYS] = "always", [COLOR_NEVER] = "never"
	};
	int mode = find_word(word, words, ARRAY_SIZE(words));

	if (mode < 0)
		return complain_usage("--color is auto, always or never, not '%s'", word);
	options->color = mode;
	return 0;
}

/* Digits that are a number from `min` to `max`. Returns 0 or EXIT_USAGE. */
static int set_number(const char *name, const char *text, unsigned int min, unsigned int max, unsigned int *ret)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long number = digits > 0 && digits < 10 ? strtoul(text, NULL, 10) : max + 1ul;

	if (text[digits] || number < min || number > max)
		return complain_usage("--%s takes a number from %u to %u, not '%s'", name, min, max, text);
	*ret = (unsigned int)number;
	return 0;
}

static int set_numa_node(struct options *options, const char *text)
{
	unsigned int node = 0;
	int r = set_number("numa-node", text, 0, NUMA_NODE_MAX, &node);

	options->numa_node = (int)node;
	options->with_numa_node = r == 0;
	return r;
}

/* Returns 0 or EXIT_USAGE. */
static int option_set(struct options *options, enum option_key key, const char *argument)
{
	switch (key) {
	case KEY_HELP:
		options->help = true;
		return 0;
	case KEY_VERSION:
		options->version = true;
		return 0;
	case KEY_SOCKET:
		options->socket = argument;
		return 0;
	case KEY_COLOR:
		return set_color(options, argument);
	case KEY_JSON:
		return set_json(options, argument);
	case KEY_NO_LEGEND:
		options->no_legend = true;
		return 0;
	case KEY_AS:
		options->as = argument;
		return 0;
	case KEY_BACKEND:
		options->backend = argument;
		return 0;
	case KEY_CONSENT:
		options->consent = argument;
		return 0;
	case KEY_YES:
		options->yes = true;
		return 0;
	case KEY_POOL:
		options->pool = argument;
		return 0;
	case KEY_COUNT:
		return set_number("count", argument, 1, COUNT_MAX, &options->count);
	case KEY_NUMA_NODE:
		return set_numa_node(options, argument);
	case KEY_WAIT:
		return set_number("wait", argument, 1, WAIT_MAX, &options->wait_sec);
	case KEY_REASON:
		options->reason = argument;
		return 0;
	}
	return EXIT_USAGE;
}

static const struct option_info *info_of(int key)
{
	for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
		if ((int)infos[i].key == key)
			return &infos[i];
	return NULL;
}

/* A long option that getopt does not take: unknown, ambiguous, or with an argument too many. */
static int complain_long(const char *word)
{
	const char *names[ARRAY_SIZE(infos)], *near;
	char name[64];

	snprintf(name, sizeof(name), "%.*s", (int)strcspn(word + 2, "="), word + 2);
	for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
		names[i] = infos[i].name;
	if (find_word(name, names, ARRAY_SIZE(names)) >= 0)
		return complain_usage("option '--%s' takes no argument", name);
	near = suggest(name, names, ARRAY_SIZE(names));
	if (near)
		return complain_usage("unknown option '--%s'; did you mean '--%s'?", name, near);
	return complain_usage("unknown option '--%s'", name);
}

static int complain_option(int key, const char *word)
{
	if (key == ':')
		return complain_usage("option '%s' needs an argument", word);
	if (strncmp(word, "--", 2) == 0)
		return complain_long(word);
	return complain_usage("unknown option '-%c'", optopt);
}

int options_parse(struct options *options, int argc, char **argv, bool only_leading)
{
	struct option longs[ARRAY_SIZE(infos) + 1] = { 0 };
	int key;

	for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
		longs[i] = (struct option){ infos[i].name, infos[i].has_argument, NULL, infos[i].key };
	optind = 0; /* getopt begins anew */
	opterr = 0;
	while ((key = getopt_long(argc, argv, only_leading ? "+:h" : ":h", longs, NULL)) >= 0) {
		const struct option_info *info = info_of(key == 'h' ? (int)KEY_HELP : key);

		if (!info)
			return -complain_option(key, argv[optind - 1]);
		if (option_set(options, info->key, optarg) != 0)
			return -EXIT_USAGE;
		options->given |= info->bit;
	}
	return optind;
}

bool options_fit(const struct options *options, const struct verb *verb)
{
	for (size_t i = 0; i < ARRAY_SIZE(infos); i++) {
		if (options->given & infos[i].bit & ~verb->options) {
			complain_usage("'%s' takes no --%s", verb->name, infos[i].name);
			return false;
		}
	}
	return true;
}

void options_print_help(unsigned int bits)
{
	puts("Options:");
	for (size_t i = 0; i < ARRAY_SIZE(infos); i++)
		if (!infos[i].bit || (infos[i].bit & bits))
			printf("  %-31s %s\n", infos[i].usage, infos[i].help);
}
