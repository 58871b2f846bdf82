/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The state behind fuse-sysfs.h, without FUSE: what devices and drivers are, and what paths show of them. Private to
 * tests/lib. Every function but model_init() and model_clear() is called with model::mutex held.
 */
#ifndef IOMMUD_TESTS_FUSE_SYSFS_MODEL_H
#define IOMMUD_TESTS_FUSE_SYSFS_MODEL_H

#include <pthread.h>

#include "fuse-sysfs.h"
#include "util/list.h"

#define MODEL_NAME_MAX 64
#define MODEL_CONFIG_SIZE 4096

struct model_device {
	struct list_link link; /* model::devices, in order of address */
	struct fuse_sysfs_device is; /* its texts are not used */
	char address[MODEL_NAME_MAX];
	char driver[MODEL_NAME_MAX];
	char driver_override[MODEL_NAME_MAX];
	char disk[MODEL_NAME_MAX];
	char interface[MODEL_NAME_MAX];
	unsigned int n_vfs;
	uint64_t node;
	bool locked; /* somebody is in bind, unbind or driver_override */
	bool held; /* a descriptor is out */
	bool blocked; /* somebody waits for it to come back */
	bool gone;
};

struct model_driver {
	struct list_link link; /* model::drivers */
	char name[MODEL_NAME_MAX];
	char ids[256];
};

struct model {
	pthread_mutex_t mutex;
	pthread_cond_t changed; /* something that somebody may wait for */
	struct list_link devices;
	struct list_link graveyard; /* removed devices; somebody may still wait on one */
	struct list_link drivers;
	uint64_t last_node;
	bool stopping;
	fuse_sysfs_hook hook;
	void *hook_userdata;
	size_t n_writes;
};

void model_init(struct model *model);
void model_clear(struct model *model);

struct model_device *model_find_device(struct model *model, const char *address);
struct model_driver *model_find_driver(struct model *model, const char *name);

/* Waits for the device's lock. False: it is gone, or all stops. */
bool model_lock(struct model *model, struct model_device *device);
void model_unlock(struct model *model, struct model_device *device);

enum model_node_type { MODEL_FOLDER, MODEL_FILE, MODEL_WRITABLE, MODEL_LINK };

struct model_node {
	enum model_node_type type;
	uint64_t inode;
	size_t size;
	char text[MODEL_CONFIG_SIZE]; /* of a file; of a link its target */
};

typedef void (*model_emit)(void *userdata, const char *name, enum model_node_type type);

/* What stands at `path`: 0, or -ENOENT. */
int model_look_up(struct model *model, const char *path, struct model_node *ret);
/* The names in the folder `path`. */
void model_list(struct model *model, const char *path, model_emit emit, void *userdata);

/* A write to the file at `path`; may wait, and calls the hook (with the mutex let go). 0, or a negative errno. */
int model_write(struct model *model, const char *path, const char *value);

/* The device whose lock a read of `path` waits for, or NULL. */
struct model_device *model_read_needs_lock(struct model *model, const char *path);

#endif
