/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Pure, without an allocation: components are compared where they stand, by a glob matcher that knows where to end. */
#include "policy/context.h"

#include <string.h>

#include "policy/glob.h"

#define N_COMPONENTS 4 /* user, role, type, and a level which is all the rest */

/* The length of the component that begins at `text`, the `index`th. */
static size_t component_length(const char *text, unsigned int index)
{
	return index + 1 < N_COMPONENTS ? strcspn(text, ":") : strlen(text);
}

static bool copy_component(char *buffer, size_t size, const char *text, size_t length)
{
	if (length >= size)
		return false;
	memcpy(buffer, text, length);
	buffer[length] = '\0';
	return true;
}

const char *context_check(const char *pattern, size_t *ret_offset)
{
	const char *p = pattern;

	for (unsigned int i = 0; i < N_COMPONENTS; i++) {
		char component[CONTEXT_PATTERN_MAX + 1];
		size_t length = component_length(p, i), offset = 0;
		const char *reason;

		*ret_offset = p - pattern;
		if (length == 0)
			return "empty component of a security context; '*' stands for any";
		if (!copy_component(component, sizeof(component), p, length))
			return "component of a security context is too long";
		reason = glob_check(component, &offset);
		*ret_offset += offset;
		if (reason || p[length] == '\0')
			return reason;
		p += length + 1;
	}
	return NULL;
}

/* The glob is short, as it was parsed; the context is what the kernel gave, of any length. */
static bool component_matches(const char *glob, size_t glob_length, const char *text, size_t length)
{
	char pattern[CONTEXT_PATTERN_MAX + 1];

	return copy_component(pattern, sizeof(pattern), glob, glob_length) && glob_match_length(pattern, text, length);
}

bool context_match(const char *pattern, const char *context)
{
	for (unsigned int i = 0;; i++) {
		size_t glob_length = component_length(pattern, i), length = component_length(context, i);

		if (!component_matches(pattern, glob_length, context, length))
			return false;
		if (!pattern[glob_length] || !context[length])
			return !pattern[glob_length] && !context[length];
		pattern += glob_length + 1;
		context += length + 1;
	}
}
