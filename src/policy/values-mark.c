/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Values of [Pool] and [Host]. Owns nothing but the text that it puts into the rule. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/report.h"
#include "policy/values.h"

#define NUM_VFS_MAX 65535 /* NumVFs of the SR-IOV capability has 16 bits */

int parse_pool_name(const char *text, struct rule *rule, struct complaint *complaint)
{
	static const char allowed[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_.";
	size_t length = strlen(text), good = strspn(text, allowed);
	char *copy;

	if (text[good])
		return complain(complaint, good, "'%.*s' is no name of a pool: letters, digits, '-', '_' and '.'",
				quote_length(text), text);
	if (length > POLICY_POOL_NAME_MAX)
		return complain(complaint, POLICY_POOL_NAME_MAX, "the name of the pool is longer than %d bytes",
				POLICY_POOL_NAME_MAX);
	copy = strndup(text, length);
	if (!copy)
		return -ENOMEM;
	/* There may be one already, from a second [Pool], which was refused. */
	free(rule->pool);
	rule->pool = copy;
	return 0;
}

int parse_num_vfs(const char *text, struct rule *rule, struct complaint *complaint)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long number = digits > 0 && digits <= 5 ? strtoul(text, NULL, 10) : 0;

	if (text[digits] || number == 0 || number > NUM_VFS_MAX)
		return complain(complaint, 0, "NumVFs takes a number from 1 to %d, not '%.*s'", NUM_VFS_MAX,
				quote_length(text), text);
	rule->num_vfs = (unsigned int)number;
	return 0;
}
