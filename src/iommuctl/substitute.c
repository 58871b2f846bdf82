/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Brace substitution in the arguments of `run`. QEMU's JSON is full of braces, so only the exact names count: whatever is
 * not one of them is passed through byte by byte, and nothing is an error of syntax.
 */
#include "substitute.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/cleanup.h"

/* A name in braces at the beginning of a text. */
struct placeholder {
	size_t length; /* with the braces */
	const struct kind *kind;
	bool numbered;
	size_t number; /* SIZE_MAX when it is too large to be one */
};

static int find_iommu(const struct descriptors *descriptors, size_t index)
{
	return descriptors->iommu_fd;
}

static int find_container(const struct descriptors *descriptors, size_t index)
{
	return descriptors->container_fd;
}

static int find_device(const struct descriptors *descriptors, size_t index)
{
	return descriptors->device_fds[index];
}

static int find_group(const struct descriptors *descriptors, size_t index)
{
	return descriptors->group_fds[index];
}

static const struct kind {
	const char *name;
	bool per_device;
	int (*find)(const struct descriptors *descriptors, size_t index);
} kinds[] = {
	{ "device", true, find_device },
	{ "group", true, find_group },
	{ "iommu", false, find_iommu },
	{ "container", false, find_container },
};

/* Digits up to the first other character, which *ret_end points to. */
static size_t parse_digits(const char *text, const char **ret_end)
{
	size_t number = 0;

	for (; *text >= '0' && *text <= '9'; text++)
		number = number > SIZE_MAX / 10 - 1 ? SIZE_MAX : number * 10 + (*text - '0');
	*ret_end = text;
	return number;
}

/* Whether `text` begins with "{NAME}" or, for what there is one of each device, "{NAME:DIGITS}". */
static bool placeholder_parse(const char *text, const struct kind *kind, struct placeholder *ret)
{
	struct placeholder placeholder = { .kind = kind };
	size_t length = strlen(kind->name);
	const char *end;

	if (strncmp(text + 1, kind->name, length) != 0)
		return false;
	end = text + 1 + length;
	if (kind->per_device && end[0] == ':' && end[1] >= '0' && end[1] <= '9') {
		placeholder.numbered = true;
		placeholder.number = parse_digits(end + 1, &end);
	}
	if (*end != '}')
		return false;
	placeholder.length = end + 1 - text;
	*ret = placeholder;
	return true;
}

static bool placeholder_find(const char *text, struct placeholder *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (placeholder_parse(text, &kinds[i], ret))
			return true;
	return false;
}

static enum substitute_outcome placeholder_resolve(const struct placeholder *placeholder,
						   const struct descriptors *descriptors, int *ret_fd)
{
	int fd;

	if (placeholder->kind->per_device && !placeholder->numbered && descriptors->n_devices != 1)
		return SUBSTITUTE_AMBIGUOUS;
	if (placeholder->kind->per_device && placeholder->number >= descriptors->n_devices)
		return SUBSTITUTE_NO_DEVICE;
	fd = placeholder->kind->find(descriptors, placeholder->number);
	if (fd < 0)
		return SUBSTITUTE_NO_DESCRIPTOR;
	*ret_fd = fd;
	return SUBSTITUTE_DONE;
}

enum substitute_outcome substitute(const char *text, const struct descriptors *descriptors, char **ret,
				   const char **ret_name, size_t *ret_length)
{
	_cleanup_free_ char *result = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&result, &size);
	enum substitute_outcome outcome = stream ? SUBSTITUTE_DONE : SUBSTITUTE_NO_MEMORY;
	struct placeholder placeholder = { 0 };

	while (*text && outcome == SUBSTITUTE_DONE) {
		int fd = -1;

		if (text[0] != '{' || (text[1] != '{' && !placeholder_find(text, &placeholder))) {
			fputc(*text++, stream);
		} else if (text[1] == '{') {
			fputc('{', stream);
			text += 2;
		} else {
			outcome = placeholder_resolve(&placeholder, descriptors, &fd);
			if (outcome != SUBSTITUTE_DONE) {
				*ret_name = text;
				*ret_length = placeholder.length;
			}
			fprintf(stream, "%d", fd);
			text += placeholder.length;
		}
	}
	if (stream && fclose(stream) != 0)
		return SUBSTITUTE_NO_MEMORY;
	if (outcome == SUBSTITUTE_DONE)
		*ret = TAKE_PTR(result);
	return outcome;
}
