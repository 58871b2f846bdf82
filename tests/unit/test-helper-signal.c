/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which transactions a signal can be asked for: of those in the journal, only the ones whose device somebody was given. What
 * follows for these is in tests/e2e/test-helper-signal.c, with the helper as a program.
 */
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

#include "helper/connection.h"
#include "helper/signal.h"
#include "util/cleanup.h"

struct fixture {
	struct helper helper;
	char dir[64];
	int broker; /* its end of the connection */
	uint64_t transaction;
};

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct device_state device = { .id = { .address = "0000:00:01.0" }, .driver = "e1000e" };
	const struct transaction *transaction;
	int pair[2];

	strcpy(f->dir, "/tmp/iommud-signal-XXXXXX");
	if (!mkdtemp(f->dir) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	connections_init(&f->helper);
	f->helper.options.client_socket = "/nowhere";
	f->helper.journal_dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->helper.connections[0] = (struct connection){ .fd = pair[0], .id = 1 };
	f->broker = pair[1];
	strcpy(device.moved_to, "vfio-pci");
	if (policy_new_empty(&f->helper.policy) < 0 || journal_open(f->helper.journal_dir_fd, &f->helper.journal) < 0 ||
	    journal_begin(f->helper.journal, &device, &transaction) < 0)
		return -1;
	f->transaction = transaction->number;
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[96];

	journal_free(f->helper.journal);
	policy_free(f->helper.policy);
	close_fd(f->helper.journal_dir_fd);
	close_fd(f->helper.connections[0].fd);
	close_fd(f->broker);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	free(f);
	return system(command);
}

static struct helper_reply ask(struct fixture *f, uint64_t transaction)
{
	struct helper_request request = { .operation = HELPER_SIGNAL, .serial = 9, .transaction = transaction };
	struct helper_reply reply;

	memcpy(request.digest, policy_digest(f->helper.policy), DIGEST_SIZE);
	signal_client(&f->helper, 1, &request, STDIN_FILENO);
	assert_int_equal(recv(f->broker, &reply, sizeof(reply), MSG_DONTWAIT), sizeof(reply));
	assert_int_equal(reply.serial, 9);
	assert_int_equal(reply.transaction, transaction);
	return reply;
}

static void nobody_is_signalled_for_what_nobody_was_given(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ask(f, f->transaction).status, HELPER_NO_SUCH_TRANSACTION);
	assert_int_equal(ask(f, f->transaction + 1).status, HELPER_NO_SUCH_TRANSACTION);
	assert_int_equal(journal_mark_prepared(f->helper.journal, f->transaction), 0);
	/* Now it is the client's turn to be looked at. */
	assert_int_equal(ask(f, f->transaction).status, HELPER_BAD_REQUEST);
	assert_int_equal(journal_close(f->helper.journal, f->transaction), 0);
	assert_int_equal(ask(f, f->transaction).status, HELPER_NO_SUCH_TRANSACTION);
}

static void a_refusal_says_why(void **state)
{
	struct fixture *f = *state;
	struct helper_reply reply;

	assert_int_equal(journal_mark_prepared(f->helper.journal, f->transaction), 0);
	reply = ask(f, f->transaction);
	assert_non_null(strstr(reply.detail, "no client's socket accepted at /nowhere"));
	reply = ask(f, 1);
	assert_string_equal(reply.detail, "there is no such transaction");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nobody_is_signalled_for_what_nobody_was_given, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_refusal_says_why, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
