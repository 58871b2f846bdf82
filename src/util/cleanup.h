/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Scoped ownership: a variable marked _cleanup_() lets go of what it owns on every way out, and TAKE_FD()/TAKE_PTR()
 * hand the ownership on. With them a function has one exit for its faults and no ladder of labels.
 */
#ifndef IOMMUD_UTIL_CLEANUP_H
#define IOMMUD_UTIL_CLEANUP_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(function) __attribute__((cleanup(function)))
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_fd_ _cleanup_(cleanup_fd)

#define TAKE_PTR(pointer)                                  \
	({                                                 \
		__typeof__(pointer) *_source = &(pointer); \
		__typeof__(pointer) _taken = *_source;     \
		*_source = NULL;                           \
		_taken;                                    \
	})
#define TAKE_FD(fd)                    \
	({                             \
		int *_source = &(fd);  \
		int _taken = *_source; \
		*_source = -1;         \
		_taken;                \
	})

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

/* Closes `fd` unless it is negative, leaves errno alone and returns -1: `fd = close_fd(fd);` */
static inline int close_fd(int fd)
{
	int saved = errno;

	if (fd >= 0)
		close(fd);
	errno = saved;
	return -1;
}

static inline void cleanup_fd(int *fd)
{
	close_fd(*fd);
}

static inline void cleanup_free(void *pointer)
{
	free(*(void **)pointer);
}

/* Defines cleanup_NAME() for a destructor `function(type)`, to be used as _cleanup_(cleanup_NAME). */
#define DEFINE_CLEANUP(name, type, function)             \
	static inline void cleanup_##name(type *pointer) \
	{                                                \
		if (*pointer)                            \
			function(*pointer);              \
	}

#endif
