/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The INI dialect of iommud.conf and *.policy, read strictly: what is not understood is an error with its place, never
 * skipped, for a policy that is half read is worse than none.
 *
 * A line is empty, a comment (first character that is no blank is # or ;), `[Section]`, or `Key=Value`. Keys are letters
 * and digits. Blanks around key and value are dropped. A line that begins with a blank and is neither empty nor a
 * comment is an error (it looks like a continuation, and there are none). Values go to the end of the line; no quoting, no
 * escapes, no trailing comments. Lines may be up to INI_LINE_MAX bytes and must be UTF-8 without control characters but
 * tab; a last line without newline is fine; CR before LF is an error that says so.
 */
#ifndef IOMMUD_UTIL_INI_H
#define IOMMUD_UTIL_INI_H

#include <stddef.h>

#define INI_LINE_MAX 4096

/* Lines and columns count from 1; columns are in bytes. */
struct ini_place {
	const char *file;
	unsigned int line;
	unsigned int column;
};

struct ini_handler {
	/* `[section]` was read. The place is that of the name. */
	void (*section)(void *userdata, const struct ini_place *place, const char *section);
	/* `key=value` was read in the last section. Both texts are borrowed for the time of the call. */
	void (*value)(void *userdata, const struct ini_place *key_place, const char *key,
		      const struct ini_place *value_place, const char *value);
	/* Something is wrong here. Reading goes on with the next line, so that all errors come in one run. */
	void (*error)(void *userdata, const struct ini_place *place, const char *message);
};

/* Reads `text` (`size` bytes, may hold NUL, which is an error at its place). Keys before any section are an error. */
void ini_parse(const char *file, const char *text, size_t size, const struct ini_handler *handler, void *userdata);

#endif
