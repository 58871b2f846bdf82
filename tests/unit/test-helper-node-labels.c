/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The security contexts of nodes while they are out, and the way back. Plain files stand for nodes, a table for the LSM. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include "helper/node-labels.h"
#include "util/cleanup.h"

#define DEVICE_A "vfio/devices/vfio0"
#define DEVICE_B "vfio/devices/vfio1"
#define GROUP "vfio/12"
#define FORMER "system_u:object_r:vfio_device_t:s0"
#define OURS "system_u:object_r:vfio_device_t:s0:c1,c2"
#define THEIRS "system_u:object_r:vfio_device_t:s0:c9"

static char tree[64];
static int tree_fd, dev_fd, journal_fd;

/* What the LSM has for each inode; a new one has FORMER. */
static struct {
	ino_t inode;
	char context[SECURITY_CONTEXT_MAX];
} contexts[16];
static size_t n_contexts;
static unsigned int n_sets, failing_set; /* the `failing_set`th set fails; 0: none */

static char *context_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	for (size_t i = 0; i < n_contexts; i++)
		if (contexts[i].inode == st.st_ino)
			return contexts[i].context;
	assert_true(n_contexts < ARRAY_SIZE(contexts));
	contexts[n_contexts].inode = st.st_ino;
	strcpy(contexts[n_contexts].context, FORMER);
	return contexts[n_contexts++].context;
}

static int get(int fd, char *ret, size_t size)
{
	snprintf(ret, size, "%s", context_of(fd));
	return 0;
}

static int set(int fd, const char *context)
{
	if (++n_sets == failing_set)
		return -EACCES;
	strcpy(context_of(fd), context);
	return 0;
}

static const struct node_label_ops ops = { .get = get, .set = set };

__attribute__((format(printf, 1, 2))) static void run(const char *format, ...)
{
	char command[512];
	size_t used = snprintf(command, sizeof(command), "cd %s && ", tree);
	va_list args;

	va_start(args, format);
	vsnprintf(command + used, sizeof(command) - used, format, args);
	va_end(args);
	assert_int_equal(system(command), 0);
}

static int open_dir(const char *name)
{
	return openat(tree_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static int set_up(void **state)
{
	strcpy(tree, "/tmp/iommud-labels-XXXXXX");
	if (!mkdtemp(tree))
		return -1;
	run("mkdir -p dev/vfio/devices journal && cd dev && touch " DEVICE_A " " DEVICE_B " " GROUP);
	tree_fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dev_fd = open_dir("dev");
	journal_fd = open_dir("journal");
	n_contexts = 0;
	n_sets = failing_set = 0;
	return dev_fd < 0 || journal_fd < 0;
}

static int tear_down(void **state)
{
	close_fd(journal_fd);
	close_fd(dev_fd);
	close_fd(tree_fd);
	run("rm -rf ../$(basename %s)", tree);
	return 0;
}

static const char *now(const char *node)
{
	_cleanup_fd_ int fd = openat(dev_fd, node, O_PATH | O_CLOEXEC);

	assert_true(fd >= 0);
	return context_of(fd);
}

static void relabel(const char *node, const char *context)
{
	_cleanup_fd_ int fd = openat(dev_fd, node, O_PATH | O_CLOEXEC);

	strcpy(context_of(fd), context);
}

static struct node_labels labels_of(uint64_t transaction)
{
	return (struct node_labels){
		.ops = &ops, .dev_fd = dev_fd, .journal_dir_fd = journal_fd, .transaction = transaction
	};
}

static struct device_nodes nodes_of(const char *device)
{
	struct device_nodes nodes = { .n = 2 };

	strcpy(nodes.list[0].name, device);
	strcpy(nodes.list[1].name, GROUP);
	return nodes;
}

static int apply(uint64_t transaction, const char *device, const char *context)
{
	struct node_labels labels = labels_of(transaction);
	struct device_nodes nodes = nodes_of(device);

	return node_labels_apply(&labels, &nodes, context);
}

static int put_back(uint64_t transaction)
{
	struct node_labels labels = labels_of(transaction);

	return node_labels_put_back(&labels);
}

static void assert_no_note(void)
{
	run("! ls journal | grep contexts-");
}

static void all_nodes_get_it_and_get_the_former_one_back(void **state)
{
	relabel(GROUP, THEIRS);
	assert_int_equal(apply(7, DEVICE_A, OURS), 0);
	assert_string_equal(now(DEVICE_A), OURS);
	assert_string_equal(now(GROUP), OURS);
	assert_string_equal(now(DEVICE_B), FORMER);
	assert_int_equal(put_back(7), 0);
	assert_string_equal(now(DEVICE_A), FORMER);
	assert_string_equal(now(GROUP), THEIRS);
	assert_no_note();
}

static void nothing_noted_is_nothing_to_do(void **state)
{
	assert_int_equal(put_back(7), 0);
	assert_int_equal(n_sets, 0);
	assert_int_equal(apply(7, DEVICE_A, OURS), 0);
	assert_int_equal(put_back(7), 0);
	n_sets = 0;
	assert_int_equal(put_back(7), 0);
	assert_int_equal(n_sets, 0);
}

/* In whichever order they end. */
static void a_groups_node_is_put_back_with_the_last_device(void **state)
{
	for (uint64_t first = 7; first <= 8; first++) {
		assert_int_equal(apply(7, DEVICE_A, OURS), 0);
		assert_int_equal(apply(8, DEVICE_B, OURS), 0);
		assert_int_equal(put_back(first), 0);
		assert_string_equal(now(first == 7 ? DEVICE_A : DEVICE_B), FORMER);
		assert_string_equal(now(GROUP), OURS);
		assert_int_equal(put_back(15 - first), 0);
		assert_string_equal(now(GROUP), FORMER);
		assert_no_note();
	}
}

static void another_node_of_that_name_is_left_alone(void **state)
{
	assert_int_equal(apply(7, DEVICE_A, OURS), 0);
	run("cd dev && touch new && mv new " DEVICE_A " && rm " GROUP);
	relabel(DEVICE_A, OURS);
	n_sets = 0;
	assert_int_equal(put_back(7), 0);
	assert_int_equal(n_sets, 0);
	assert_string_equal(now(DEVICE_A), OURS);
	assert_no_note();
}

static void another_number_or_a_link_is_refused(void **state)
{
	struct node_labels labels = labels_of(7);
	struct device_nodes nodes = nodes_of(DEVICE_A);

	nodes.list[1].number = makedev(10, 196);
	assert_int_equal(node_labels_apply(&labels, &nodes, OURS), -ESTALE);
	assert_non_null(strstr(labels.note, GROUP));
	run("cd dev && rm " DEVICE_A " && ln -s vfio1 " DEVICE_A);
	assert_int_equal(apply(7, DEVICE_A, OURS), -ESTALE);
	assert_int_equal(n_sets, 0);
	assert_no_note();
}

static void what_somebody_else_gave_stays(void **state)
{
	struct node_labels labels = labels_of(7);

	assert_int_equal(apply(7, DEVICE_A, OURS), 0);
	relabel(GROUP, THEIRS);
	assert_int_equal(node_labels_put_back(&labels), 0);
	assert_string_equal(now(GROUP), THEIRS);
	assert_string_equal(now(DEVICE_A), FORMER);
	assert_non_null(strstr(labels.note, "/dev/" GROUP));
	assert_non_null(strstr(labels.note, THEIRS));
	assert_non_null(strstr(labels.note, FORMER));
}

/* As a worker that was killed in between leaves it. */
static void what_was_begun_is_put_back(void **state)
{
	struct node_labels labels = labels_of(7);
	struct device_nodes nodes = nodes_of(DEVICE_A);

	for (unsigned int n = 1; n <= 2; n++) {
		n_sets = 0;
		failing_set = n;
		assert_int_equal(node_labels_apply(&labels, &nodes, OURS), -EACCES);
		assert_non_null(strstr(labels.note, n == 1 ? DEVICE_A : GROUP));
		assert_non_null(strstr(labels.note, OURS));
		failing_set = 0;
		assert_int_equal(put_back(7), 0);
		assert_string_equal(now(DEVICE_A), FORMER);
		assert_string_equal(now(GROUP), FORMER);
		assert_no_note();
	}
}

static void a_put_back_that_fails_can_be_repeated(void **state)
{
	struct node_labels labels = labels_of(7);

	assert_int_equal(apply(7, DEVICE_A, OURS), 0);
	failing_set = n_sets + 2;
	assert_int_equal(node_labels_put_back(&labels), -EACCES);
	assert_non_null(strstr(labels.note, "/dev/" GROUP));
	assert_int_equal(put_back(7), 0);
	assert_string_equal(now(GROUP), FORMER);
	assert_no_note();
}

static void a_damaged_note_is_said_and_dropped(void **state)
{
	struct node_labels labels = labels_of(7);

	assert_int_equal(apply(7, DEVICE_A, OURS), 0);
	run("echo rubbish >>journal/contexts-7");
	assert_int_equal(node_labels_put_back(&labels), 0);
	assert_non_null(strstr(labels.note, "contexts-7 is damaged"));
	assert_string_equal(now(DEVICE_A), OURS);
	assert_no_note();
}

static void what_is_no_context_is_not_noted(void **state)
{
	char endless[SECURITY_CONTEXT_MAX + 1];

	memset(endless, 'x', SECURITY_CONTEXT_MAX);
	endless[SECURITY_CONTEXT_MAX] = '\0';
	assert_int_equal(apply(7, DEVICE_A, "two words"), -EINVAL);
	assert_int_equal(apply(7, DEVICE_A, endless), -EINVAL);
	assert_int_equal(n_sets, 0);
	assert_no_note();
}

#define CASE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest cases[] = {
		CASE(all_nodes_get_it_and_get_the_former_one_back),
		CASE(nothing_noted_is_nothing_to_do),
		CASE(a_groups_node_is_put_back_with_the_last_device),
		CASE(another_node_of_that_name_is_left_alone),
		CASE(another_number_or_a_link_is_refused),
		CASE(what_somebody_else_gave_stays),
		CASE(what_was_begun_is_put_back),
		CASE(a_put_back_that_fails_can_be_repeated),
		CASE(a_damaged_note_is_said_and_dropped),
		CASE(what_is_no_context_is_not_noted),
	};

	return cmocka_run_group_tests(cases, NULL, NULL);
}
