/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values of [Match] that say where a device is, which one it is, and to what it belongs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/glob.h"
#include "policy/report.h"
#include "policy/values.h"

#define NUMA_NODE_MAX 1048575 /* MAX_NUMNODES is far below */

int parse_path(const char *text, struct item *ret, struct complaint *complaint)
{
	if (!glob_is_pattern(text) && glob_match("????:??:??.?", text))
		return complain(complaint, 0, "'%s' is an address; the path of that device is 'pci-%s'", text, text);
	return make_word_item("a path", text, DEVICE_PATH_MAX - 1, ret, complaint);
}

int parse_serial(const char *text, struct item *ret, struct complaint *complaint)
{
	return make_word_item("a serial number", text, DEVICE_SERIAL_MAX - 1, ret, complaint);
}

int parse_numa_node(const char *text, struct item *ret, struct complaint *complaint)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long number = digits > 0 && digits <= 7 ? strtoul(text, NULL, 10) : 0;

	if (strcmp(text, "*") == 0 || strcmp(text, "none") == 0) {
		*ret = (struct item){ .kind = text[0] == '*' ? ITEM_ANY : ITEM_ABSENT };
		return 0;
	}
	if (text[digits] || digits == 0 || digits > 7 || number > NUMA_NODE_MAX)
		return complain(complaint, 0, "'%.*s' is no NUMA node: a number, or none", quote_length(text), text);
	*ret = (struct item){ .kind = ITEM_NUMBER, .number = (uint32_t)number };
	return 0;
}

/* That there is such a pool is seen when all files have been read. */
int parse_pool(const char *text, struct item *ret, struct complaint *complaint)
{
	if (strcmp(text, "none") != 0)
		return make_word_item("a pool's name", text, POLICY_POOL_NAME_MAX, ret, complaint);
	*ret = (struct item){ .kind = ITEM_ABSENT };
	return 0;
}
