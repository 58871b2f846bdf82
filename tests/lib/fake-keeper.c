/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake-keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "util/cleanup.h"

static int fake_keep(void *userdata, const char *name, int fd)
{
	struct fake_keeper *fake = userdata;

	if (fake->n >= fake->keeper.limit || fake->n == FAKE_KEPT_MAX)
		return -ENOSPC;
	fake->kept[fake->n].fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (fake->kept[fake->n].fd < 0)
		return -errno;
	snprintf(fake->kept[fake->n++].name, KEPT_NAME_MAX, "%s", name);
	return 0;
}

static void remove_at(struct fake_keeper *fake, size_t i)
{
	memmove(&fake->kept[i], &fake->kept[i + 1], (--fake->n - i) * sizeof(fake->kept[0]));
}

static void fake_drop(void *userdata, const char *name)
{
	struct fake_keeper *fake = userdata;

	for (size_t i = fake->n; i-- > 0;)
		if (strcmp(fake->kept[i].name, name) == 0) {
			close_fd(fake->kept[i].fd);
			remove_at(fake, i);
		}
}

static void fake_settle(void *userdata)
{
	struct fake_keeper *fake = userdata;

	fake->n_settled++;
}

void fake_keeper_init(struct fake_keeper *fake, unsigned int limit)
{
	*fake = (struct fake_keeper){
		.keeper = { .keep = fake_keep, .drop = fake_drop, .settle = fake_settle, .limit = limit }
	};
	fake->keeper.userdata = fake;
}

int fake_keeper_pass(const struct fake_keeper *fake, size_t i)
{
	return fcntl(fake->kept[i].fd, F_DUPFD_CLOEXEC, 3);
}

void fake_keeper_clear(struct fake_keeper *fake)
{
	for (size_t i = 0; i < fake->n; i++)
		close_fd(fake->kept[i].fd);
	fake->n = 0;
}
