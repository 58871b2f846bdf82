/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Security contexts that nodes below /dev have while their device is out, and the way back. What a node had is noted in the
 * journal's folder, in one file a transaction, before it is touched, so that it survives the process. A node is touched only
 * if it is the one that was noted: same name, number and inode.
 */
#ifndef IOMMUD_HELPER_NODE_LABELS_H
#define IOMMUD_HELPER_NODE_LABELS_H

#include <stdint.h>

#include "topology/nodes.h"
#include "util/selinux.h"

/* SELinux, or the tests' own. `fd` may be O_PATH. 0 or a negative errno. */
struct node_label_ops {
	int (*get)(int fd, char *ret, size_t size);
	int (*set)(int fd, const char *context);
};

struct node_labels {
	const struct node_label_ops *ops;
	int dev_fd; /* of /dev */
	int journal_dir_fd;
	uint64_t transaction;
	char note[256]; /* what people should know of the last call; empty: nothing */
};

/*
 * Gives all the nodes the context. 0; or a negative errno, and `note` says of which: then what was done is still to be put
 * back.
 */
int node_labels_apply(struct node_labels *labels, const struct device_nodes *nodes, const char *context);

/*
 * Gives the nodes of the transaction their former contexts, if they are what they were, and still have what we gave
 * them. A node that another open transaction has, too (that of a group), keeps it until the last one ends. Does nothing if
 * nothing was noted; may be called again. 0 or a negative errno.
 */
int node_labels_put_back(struct node_labels *labels);

#endif
