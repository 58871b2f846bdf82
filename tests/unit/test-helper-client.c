/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The broker's end: against a helper that the test plays itself, well and badly. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "hw/helper-client.h"
#include "util/cleanup.h"

struct fixture {
	char dir[64];
	char path[96];
	int listener;
	int helper; /* the helper's end of the connection */
	struct helper_client *client;
	/* What was called back. */
	unsigned int n_called;
	int last_error;
	struct helper_reply last;
	bool reconnect; /* connect and send again from the callback */
};

static void on_reply(void *userdata, int error, const struct helper_reply *reply)
{
	struct fixture *fixture = userdata;

	fixture->n_called++;
	fixture->last_error = error;
	assert_int_equal(reply == NULL, error != 0);
	if (reply)
		fixture->last = *reply;
	if (!fixture->reconnect)
		return;
	fixture->reconnect = false;
	assert_int_equal(helper_client_connect(fixture->client), 0);
	assert_int_equal(helper_client_reload(fixture->client, on_reply, fixture), 0);
}

static int set_up(void **state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct fixture *fixture = calloc(1, sizeof(*fixture));

	strcpy(fixture->dir, "/tmp/iommud-client-XXXXXX");
	if (!mkdtemp(fixture->dir))
		return -1;
	snprintf(fixture->path, sizeof(fixture->path), "%s/helper", fixture->dir);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", fixture->path);
	fixture->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(fixture->listener, (struct sockaddr *)&name, sizeof(name)) < 0 || listen(fixture->listener, 4) < 0)
		return -1;
	if (helper_client_new(fixture->path, &fixture->client) < 0 || helper_client_connect(fixture->client) < 0)
		return -1;
	fixture->helper = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC);
	*state = fixture;
	return fixture->helper < 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	fixture->client = helper_client_free(fixture->client);
	close_fd(fixture->helper);
	close_fd(fixture->listener);
	unlink(fixture->path);
	rmdir(fixture->dir);
	free(fixture);
	return 0;
}

static struct helper_request take(struct fixture *fixture, int *ret_fd)
{
	union {
		struct cmsghdr header;
		char buffer[CMSG_SPACE(sizeof(int))];
	} control;
	struct helper_request request;
	struct iovec iov = { &request, sizeof(request) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	const struct cmsghdr *cmsg;

	assert_int_equal(recvmsg(fixture->helper, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT), sizeof(request));
	cmsg = CMSG_FIRSTHDR(&message);
	if (ret_fd)
		*ret_fd = -1;
	if (cmsg && ret_fd)
		memcpy(ret_fd, CMSG_DATA(cmsg), sizeof(int));
	else
		assert_null(cmsg);
	assert_int_equal(request.version, HELPER_VERSION);
	return request;
}

static void answer(struct fixture *fixture, uint64_t serial, enum helper_status status)
{
	struct helper_reply reply = { .version = HELPER_VERSION, .serial = serial, .status = status };

	assert_int_equal(send(fixture->helper, &reply, sizeof(reply), MSG_NOSIGNAL), sizeof(reply));
}

static void sends_what_the_operation_carries(void **state)
{
	struct fixture *fixture = *state;
	uint8_t digest[DIGEST_SIZE];
	struct helper_request request;
	struct stat sent, received;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), taken;

	memset(digest, 0xab, sizeof(digest));
	assert_int_equal(helper_client_hello(fixture->client, digest, on_reply, fixture), 0);
	request = take(fixture, NULL);
	assert_int_equal(request.operation, HELPER_HELLO);
	assert_memory_equal(request.digest, digest, DIGEST_SIZE);
	assert_int_equal(helper_client_prepare(fixture->client, fd, "0000:00:01.0", digest, 0, on_reply, fixture), 0);
	request = take(fixture, &taken);
	assert_int_equal(request.operation, HELPER_PREPARE);
	assert_string_equal(request.address, "0000:00:01.0");
	assert_memory_equal(request.digest, digest, DIGEST_SIZE);
	assert_int_equal(fstat(fd, &sent), 0); /* ours is still open */
	assert_int_equal(fstat(taken, &received), 0);
	assert_int_equal(sent.st_rdev, received.st_rdev);
	close(taken);
	assert_int_equal(
		helper_client_park(fixture->client, fd, "0000:00:01.1", "0000:00:01.0", digest, 0, on_reply, fixture),
		0);
	request = take(fixture, &taken);
	assert_int_equal(request.operation, HELPER_PARK);
	assert_string_equal(request.address, "0000:00:01.1");
	assert_string_equal(request.for_address, "0000:00:01.0");
	assert_memory_equal(request.digest, digest, DIGEST_SIZE);
	assert_true(taken >= 0);
	close(taken);
	close(fd);
	assert_int_equal(helper_client_restore(fixture->client, 42, 0, on_reply, fixture), 0);
	request = take(fixture, NULL);
	assert_int_equal(request.operation, HELPER_RESTORE);
	assert_int_equal(request.transaction, 42);
	assert_int_equal(helper_client_next(fixture->client, 43, on_reply, fixture), 0);
	request = take(fixture, NULL);
	assert_int_equal(request.operation, HELPER_NEXT);
	assert_int_equal(request.transaction, 43);
	assert_int_equal(helper_client_make_vfs(fixture->client, "0000:00:01.0", digest, on_reply, fixture), 0);
	request = take(fixture, NULL);
	assert_int_equal(request.operation, HELPER_MAKE_VFS);
	assert_string_equal(request.address, "0000:00:01.0");
	assert_memory_equal(request.digest, digest, DIGEST_SIZE);
	assert_int_equal(helper_client_reload(fixture->client, on_reply, fixture), 0);
	assert_int_equal(take(fixture, NULL).operation, HELPER_RELOAD);
	assert_int_equal(fixture->n_called, 0);
}

static void gives_replies_to_those_who_asked_in_any_order(void **state)
{
	struct fixture *fixture = *state, other = { 0 };
	uint64_t first, second;

	assert_int_equal(helper_client_next(fixture->client, 0, on_reply, fixture), 0);
	assert_int_equal(helper_client_reload(fixture->client, on_reply, &other), 0);
	first = take(fixture, NULL).serial;
	second = take(fixture, NULL).serial;
	assert_true(first != second);
	answer(fixture, second, HELPER_FAULT);
	answer(fixture, first, HELPER_OK);
	assert_int_equal(helper_client_dispatch(fixture->client), 0);
	assert_int_equal(fixture->n_called, 1);
	assert_int_equal(fixture->last.status, HELPER_OK);
	assert_int_equal(other.n_called, 1);
	assert_int_equal(other.last.status, HELPER_FAULT);
}

static void calls_twice_for_a_restore_that_timed_out(void **state)
{
	struct fixture *fixture = *state;
	uint64_t serial;

	assert_int_equal(helper_client_restore(fixture->client, 1, 0, on_reply, fixture), 0);
	serial = take(fixture, NULL).serial;
	answer(fixture, serial, HELPER_TIMED_OUT);
	assert_int_equal(helper_client_dispatch(fixture->client), 0);
	assert_int_equal(fixture->last.status, HELPER_TIMED_OUT);
	answer(fixture, serial, HELPER_OK);
	assert_int_equal(helper_client_dispatch(fixture->client), 0);
	assert_int_equal(fixture->n_called, 2);
	assert_int_equal(fixture->last.status, HELPER_OK);
}

static void a_prepare_that_timed_out_is_over(void **state)
{
	struct fixture *fixture = *state;
	uint8_t digest[DIGEST_SIZE] = { 0 };
	int fd;
	uint64_t serial;

	assert_int_equal(helper_client_prepare(fixture->client, 0, "0000:00:01.0", digest, 0, on_reply, fixture), 0);
	serial = take(fixture, &fd).serial;
	close(fd);
	answer(fixture, serial, HELPER_TIMED_OUT);
	assert_int_equal(helper_client_dispatch(fixture->client), 0);
	assert_int_equal(fixture->n_called, 1);
	/* A second reply would be of a helper that does not keep to the contract. */
	answer(fixture, serial, HELPER_OK);
	assert_int_equal(helper_client_dispatch(fixture->client), -ECONNRESET);
	assert_int_equal(fixture->n_called, 1);
}

static void tells_all_when_the_helper_goes(void **state)
{
	struct fixture *fixture = *state;

	assert_int_equal(helper_client_next(fixture->client, 0, on_reply, fixture), 0);
	assert_int_equal(helper_client_restore(fixture->client, 1, 0, on_reply, fixture), 0);
	fixture->helper = close_fd(fixture->helper);
	assert_int_equal(helper_client_dispatch(fixture->client), -ECONNRESET);
	assert_int_equal(fixture->n_called, 2);
	assert_int_equal(fixture->last_error, -ECONNRESET);
	assert_false(helper_client_is_connected(fixture->client));
	assert_int_equal(helper_client_get_fd(fixture->client), -1);
	assert_int_equal(helper_client_reload(fixture->client, on_reply, fixture), -ENOTCONN);
	assert_int_equal(fixture->n_called, 2);
	assert_int_equal(helper_client_connect(fixture->client), 0);
	assert_true(helper_client_is_connected(fixture->client));
}

static void can_connect_and_send_again_from_the_callback(void **state)
{
	struct fixture *fixture = *state;
	uint64_t serial;

	assert_int_equal(helper_client_next(fixture->client, 0, on_reply, fixture), 0);
	fixture->helper = close_fd(fixture->helper);
	fixture->reconnect = true;
	assert_int_equal(helper_client_dispatch(fixture->client), -ECONNRESET);
	assert_int_equal(fixture->n_called, 1);
	fixture->helper = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC);
	serial = take(fixture, NULL).serial;
	answer(fixture, serial, HELPER_OK);
	assert_int_equal(helper_client_dispatch(fixture->client), 0);
	assert_int_equal(fixture->n_called, 2);
	assert_int_equal(fixture->last_error, 0);
}

static void drops_a_helper_that_talks_rubbish(void **state)
{
	static const struct helper_reply wrong_version = { .version = HELPER_VERSION + 1, .serial = 1 };
	static const struct helper_reply unasked = { .version = HELPER_VERSION, .serial = 99 };
	static const char longer[sizeof(struct helper_reply) + 1];
	static const struct {
		const void *data;
		size_t size;
	} rubbish[] = { { "x", 1 },
			{ &wrong_version, sizeof(wrong_version) },
			{ &unasked, sizeof(unasked) },
			{ longer, sizeof(longer) },
			{ &unasked, sizeof(unasked) - 1 } };
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rubbish); i++) {
		assert_int_equal(helper_client_next(fixture->client, 0, on_reply, fixture), 0);
		assert_int_equal(send(fixture->helper, rubbish[i].data, rubbish[i].size, MSG_NOSIGNAL),
				 rubbish[i].size);
		assert_int_equal(helper_client_dispatch(fixture->client), -ECONNRESET);
		assert_int_equal(fixture->n_called, i + 1);
		assert_int_equal(fixture->last_error, -ECONNRESET);
		close(fixture->helper);
		assert_int_equal(helper_client_connect(fixture->client), 0);
		fixture->helper = accept4(fixture->listener, NULL, NULL, SOCK_CLOEXEC);
	}
}

static void ends_the_texts_of_a_reply(void **state)
{
	struct fixture *fixture = *state;
	struct helper_reply reply = { .version = HELPER_VERSION };

	assert_int_equal(helper_client_next(fixture->client, 0, on_reply, fixture), 0);
	reply.serial = take(fixture, NULL).serial;
	memset(reply.address, 'a', sizeof(reply.address));
	memset(reply.driver, 'd', sizeof(reply.driver));
	memset(reply.detail, 'e', sizeof(reply.detail));
	assert_int_equal(send(fixture->helper, &reply, sizeof(reply), MSG_NOSIGNAL), sizeof(reply));
	assert_int_equal(helper_client_dispatch(fixture->client), 0);
	assert_int_equal(strnlen(fixture->last.address, DEVICE_ADDRESS_MAX), DEVICE_ADDRESS_MAX - 1);
	assert_int_equal(strnlen(fixture->last.driver, DEVICE_DRIVER_MAX), DEVICE_DRIVER_MAX - 1);
	assert_int_equal(strnlen(fixture->last.detail, HELPER_DETAIL_MAX), HELPER_DETAIL_MAX - 1);
}

static void does_not_block_when_the_socket_is_full(void **state)
{
	struct fixture *fixture = *state;
	unsigned int n_sent = 0;
	int r;

	while ((r = helper_client_next(fixture->client, 0, on_reply, fixture)) == 0)
		n_sent++;
	assert_int_equal(r, -EAGAIN);
	assert_true(n_sent > 0);
	/* The one that was not sent is not called back. */
	fixture->helper = close_fd(fixture->helper);
	assert_int_equal(helper_client_dispatch(fixture->client), -ECONNRESET);
	assert_int_equal(fixture->n_called, n_sent);
}

static void refuses_what_can_not_be_sent(void **state)
{
	struct fixture *fixture = *state;
	uint8_t digest[DIGEST_SIZE] = { 0 };
	struct helper_client *client = NULL;
	char longer[200];

	assert_int_equal(helper_client_park(fixture->client, 0, "0000:00:01.1", "../x", digest, 0, on_reply, fixture),
			 -EINVAL);
	assert_int_equal(helper_client_park(fixture->client, 0, "../x", "0000:00:01.1", digest, 0, on_reply, fixture),
			 -EINVAL);
	assert_int_equal(helper_client_prepare(fixture->client, 0, "../x", digest, 0, on_reply, fixture), -EINVAL);
	assert_int_equal(helper_client_make_vfs(fixture->client, "../x", digest, on_reply, fixture), -EINVAL);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(helper_client_prepare(fixture->client, 0, longer, digest, 0, on_reply, fixture), -EINVAL);
	assert_int_equal(helper_client_new(longer, &client), -ENAMETOOLONG);
	assert_null(client);
	assert_null(helper_client_free(NULL));
}

static void says_that_no_helper_runs(void **state)
{
	struct fixture *fixture = *state;
	struct helper_client *client;

	close_fd(fixture->listener);
	fixture->listener = -1;
	assert_int_equal(helper_client_new(fixture->path, &client), 0);
	assert_int_equal(helper_client_connect(client), -ECONNREFUSED);
	unlink(fixture->path);
	assert_int_equal(helper_client_connect(client), -ENOENT);
	assert_int_equal(helper_client_reload(client, on_reply, fixture), -ENOTCONN);
	helper_client_free(client);
}

static void has_a_text_for_everything(void **state)
{
	for (uint32_t status = HELPER_OK; status <= HELPER_IN_USE; status++)
		assert_string_not_equal(helper_status_text(status), "unknown status");
	assert_string_equal(helper_status_text(HELPER_IN_USE + 1), "unknown status");
	for (uint32_t step = HELPER_STEP_NONE; step <= HELPER_STEP_VERIFY; step++)
		assert_string_not_equal(helper_step_name(step), "unknown");
	assert_string_equal(helper_step_name(HELPER_STEP_UNBIND), "unbind");
	assert_string_equal(helper_step_name(UINT32_MAX), "unknown");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sends_what_the_operation_carries),
		TEST(gives_replies_to_those_who_asked_in_any_order),
		TEST(calls_twice_for_a_restore_that_timed_out),
		TEST(a_prepare_that_timed_out_is_over),
		TEST(tells_all_when_the_helper_goes),
		TEST(can_connect_and_send_again_from_the_callback),
		TEST(drops_a_helper_that_talks_rubbish),
		TEST(ends_the_texts_of_a_reply),
		TEST(does_not_block_when_the_socket_is_full),
		TEST(refuses_what_can_not_be_sent),
		TEST(says_that_no_helper_runs),
		TEST(has_a_text_for_everything),
	};

	return cmocka_run_group_tests_name("helper-client", tests, NULL, NULL);
}
