/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What becomes of a transaction whose restore can't even be begun. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "fail-alloc.h"
#include "helper/connection.h"
#include "helper/job.h"
#include "util/cleanup.h"
#include "util/log.h"

#define ADDRESS "0000:00:01.0"

struct rig {
	char path[64];
	int folder;
	int broker; /* the other end of the helper's one connection */
	struct helper helper;
	uint64_t transaction;
};

static int set_up(void **state)
{
	static struct rig rig;
	const struct device_state is = { .id.address = ADDRESS, .driver = "nvme", .moved_to = "vfio-pci" };
	const struct transaction *transaction;
	int pair[2];

	log_init("test", -1);
	memset(&rig, 0, sizeof(rig));
	strcpy(rig.path, "/tmp/iommud-job-XXXXXX");
	if (!mkdtemp(rig.path) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return -1;
	rig.folder = open(rig.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rig.broker = pair[0];
	rig.helper.options.max_workers = 1;
	list_init(&rig.helper.jobs);
	connections_init(&rig.helper);
	rig.helper.connections[0] = (struct connection){ .fd = pair[1], .id = 1 };
	if (journal_open(rig.folder, &rig.helper.journal) < 0 ||
	    journal_begin(rig.helper.journal, &is, &transaction) < 0)
		return -1;
	rig.transaction = transaction->number;
	*state = &rig;
	return journal_mark_prepared(rig.helper.journal, rig.transaction);
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char command[128];

	journal_free(rig->helper.journal);
	close(rig->helper.connections[0].fd);
	close(rig->broker);
	close(rig->folder);
	snprintf(command, sizeof(command), "rm -rf %s", rig->path);
	return system(command);
}

/* Else a PREPARE would be told for ever that another job has the device. */
static void a_restore_that_can_not_begin_is_one_that_failed(void **state)
{
	struct rig *rig = *state;
	const struct helper_request request = { .operation = HELPER_RESTORE,
						.serial = 7,
						.transaction = rig->transaction };
	struct helper_reply reply;

	assert_false(journal_find(rig->helper.journal, rig->transaction)->failed);
	fail_alloc_begin(1);
	job_restore(&rig->helper, 1, &request);
	assert_true(fail_alloc_end());
	assert_int_equal(recv(rig->broker, &reply, sizeof(reply), 0), sizeof(reply));
	assert_int_equal(reply.serial, 7);
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_int_equal(rig->helper.n_jobs, 0);
	assert_true(journal_find(rig->helper.journal, rig->transaction)->failed);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_restore_that_can_not_begin_is_one_that_failed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
