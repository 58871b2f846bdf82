/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Somebody who holds descriptors while the broker is restarted: the service manager. The same struct is the tests' fake. */
#ifndef IOMMUD_BROKER_KEEPER_H
#define IOMMUD_BROKER_KEEPER_H

struct keeper {
	/* Keeps a duplicate under that name until it hangs up or is dropped. 0; -ENOSPC: it takes no more; or a negative errno. */
	int (*keep)(void *userdata, const char *name, int fd);
	/* Lets go of what has that name, if anything. */
	void (*drop)(void *userdata, const char *name);
	/* Returns when all that was said to be dropped is closed; may block for some milliseconds, and gives up after some time. */
	void (*settle)(void *userdata);
	unsigned int limit; /* how many it takes, for people */
	void *userdata;
};

#endif
