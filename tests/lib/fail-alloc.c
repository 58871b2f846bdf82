/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The linker sends our calls of malloc() and its kin here. Programs that are linked without --wrap hold this file, too,
 * and never call it: hence the weak references.
 */
#include "fail-alloc.h"

#include <errno.h>
#include <stddef.h>

void *__real_malloc(size_t size) __attribute__((weak));
void *__real_calloc(size_t n, size_t size) __attribute__((weak));
void *__real_realloc(void *pointer, size_t size) __attribute__((weak));
void *__real_reallocarray(void *pointer, size_t n, size_t size) __attribute__((weak));
char *__real_strdup(const char *text) __attribute__((weak));
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
void *__wrap_reallocarray(void *pointer, size_t n, size_t size);
char *__wrap_strdup(const char *text);

static _Thread_local unsigned int countdown; /* 0: off */
static _Thread_local bool failed;

static bool must_fail(void)
{
	if (countdown == 0 || --countdown > 0)
		return false;
	failed = true;
	errno = ENOMEM;
	return true;
}

void fail_alloc_begin(unsigned int n)
{
	countdown = n;
	failed = false;
}

bool fail_alloc_end(void)
{
	countdown = 0;
	return failed;
}

void *__wrap_malloc(size_t size)
{
	return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	return must_fail() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
	return must_fail() ? NULL : __real_realloc(pointer, size);
}

void *__wrap_reallocarray(void *pointer, size_t n, size_t size)
{
	return must_fail() ? NULL : __real_reallocarray(pointer, n, size);
}

char *__wrap_strdup(const char *text)
{
	return must_fail() ? NULL : __real_strdup(text);
}
