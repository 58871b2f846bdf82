/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MEMLOCK and RLIMIT_MODE in the helper, for a client in a process of its own and by a policy of real text. /dev/null stands
 * in for the iommufd: sysfs says that its number is, and its ioctl says that it is none.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake-sysfs.h"
#include "helper/connection.h"
#include "helper/limits.h"
#include "policy-text.h"
#include "util/cleanup.h"

#define RULE "[Match]\nAddress=*\n[Client]\nUser=*\n[Grant]\nAction=allow\n"
#define SOFT (64 * 1024)

struct fixture {
	struct helper helper;
	struct fake_sysfs *sysfs;
	char dir[64];
	char path[96];
	int broker; /* its end of the connection */
	int listener;
	int accepted; /* the client's socket */
	pid_t client;
	uint64_t transaction;
};

static void be_client(const struct fixture *f)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct rlimit limit;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", f->path);
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
		_exit(1);
	limit.rlim_cur = SOFT;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) < 0 || connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
		_exit(1);
	for (;;)
		pause();
}

static void start_client(struct fixture *f)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	snprintf(f->path, sizeof(f->path), "%s/io.iommud", f->dir);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s", f->path);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(f->listener, 1), 0);
	f->client = fork();
	assert_true(f->client >= 0);
	if (f->client == 0)
		be_client(f);
	f->accepted = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(f->accepted >= 0);
	f->helper.options.client_socket = f->path;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct device_state device = { .id = { .address = "0000:00:01.0" },
				       .driver = "e1000e",
				       .moved_to = "vfio-pci" };
	const struct transaction *transaction;
	int pair[2];

	strcpy(f->dir, "/tmp/iommud-limits-XXXXXX");
	if (!mkdtemp(f->dir) || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -1;
	connections_init(&f->helper);
	f->sysfs = fake_sysfs_new();
	f->helper.sysfs_fd = fake_sysfs_fd(f->sysfs);
	f->helper.journal_dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->helper.connections[0] = (struct connection){ .fd = pair[0], .id = 1 };
	f->broker = pair[1];
	if (journal_open(f->helper.journal_dir_fd, &f->helper.journal) < 0 ||
	    journal_begin(f->helper.journal, &device, &transaction) < 0 ||
	    journal_mark_prepared(f->helper.journal, transaction->number) < 0)
		return -1;
	f->transaction = transaction->number;
	start_client(f);
	*state = f;
	return 0;
}

static void end_client(struct fixture *f)
{
	if (f->client <= 0)
		return;
	kill(f->client, SIGKILL);
	waitpid(f->client, NULL, 0);
	f->client = 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[96];

	end_client(f);
	journal_free(f->helper.journal);
	policy_free(f->helper.policy);
	fake_sysfs_free(f->sysfs);
	close_fd(f->helper.journal_dir_fd);
	close_fd(f->helper.connections[0].fd);
	close_fd(f->broker);
	close_fd(f->listener);
	close_fd(f->accepted);
	snprintf(command, sizeof(command), "rm -rf %s", f->dir);
	free(f);
	return system(command);
}

static void load(struct fixture *f, const char *lines)
{
	char text[256];

	snprintf(text, sizeof(text), RULE "%s\n", lines);
	policy_free(f->helper.policy);
	f->helper.policy = policy_must_load(text);
}

static struct helper_request request_of(struct fixture *f)
{
	struct helper_request request = { .serial = 9, .transaction = f->transaction };

	memcpy(request.digest, policy_digest(f->helper.policy), DIGEST_SIZE);
	return request;
}

static struct helper_reply reply_to(struct fixture *f, const struct helper_request *request)
{
	struct helper_reply reply;

	assert_int_equal(recv(f->broker, &reply, sizeof(reply), MSG_DONTWAIT), sizeof(reply));
	assert_int_equal(reply.serial, 9);
	assert_int_equal(reply.transaction, request->transaction);
	return reply;
}

static struct helper_reply ask_memlock(struct fixture *f, const struct helper_request *request, int fd)
{
	limits_memlock(&f->helper, 1, request, fd);
	return reply_to(f, request);
}

static struct helper_reply memlock(struct fixture *f)
{
	struct helper_request request = request_of(f);

	return ask_memlock(f, &request, f->accepted);
}

static struct helper_reply rlimit_mode(struct fixture *f, int iommu_fd)
{
	struct helper_request request = request_of(f);

	limits_rlimit_mode(&f->helper, 1, &request, f->accepted, iommu_fd);
	return reply_to(f, &request);
}

static rlim_t soft_limit(const struct fixture *f)
{
	struct rlimit limit;

	assert_int_equal(prlimit(f->client, RLIMIT_MEMLOCK, NULL, &limit), 0);
	return limit.rlim_cur;
}

/* There are kernels without a pidfd for a socket. */
static bool has_pidfds(const struct fixture *f)
{
	return identity_pidfd_error(f->accepted) != -ENOPROTOOPT;
}

static void raises_the_limit_to_what_the_rule_says(void **state)
{
	struct fixture *f = *state;

	load(f, "MemlockLimit=2M");
	if (!has_pidfds(f))
		skip();
	assert_int_equal(memlock(f).status, HELPER_OK);
	assert_int_equal(soft_limit(f), 2 << 20);
	load(f, "MemlockLimit=1M");
	assert_int_equal(memlock(f).status, HELPER_OK);
	assert_int_equal(soft_limit(f), 2 << 20);
}

static void without_a_pidfd_it_says_so(void **state)
{
	struct fixture *f = *state;
	struct helper_reply reply;

	load(f, "MemlockLimit=2M");
	if (has_pidfds(f))
		skip();
	reply = memlock(f);
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_int_equal(reply.error, EOPNOTSUPP);
	assert_non_null(strstr(reply.detail, "before Linux 6.5"));
	assert_int_equal(soft_limit(f), SOFT);
}

static void does_nothing_that_the_rule_does_not_say(void **state)
{
	struct fixture *f = *state;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct helper_reply reply;

	load(f, "RlimitMode=mm");
	reply = memlock(f);
	assert_int_equal(reply.status, HELPER_REFUSED);
	assert_string_equal(reply.detail, "the rule at t.policy:1 lacks MemlockLimit=");
	assert_int_equal(soft_limit(f), SOFT);
	load(f, "MemlockLimit=2M\nRlimitMode=user");
	reply = rlimit_mode(f, null);
	assert_int_equal(reply.status, HELPER_REFUSED);
	assert_string_equal(reply.detail, "the rule at t.policy:1 lacks RlimitMode=mm");
	close(null);
}

static void does_nothing_for_who_may_not_have_the_device(void **state)
{
	struct fixture *f = *state;

	f->helper.policy = policy_must_load("[Match]\nAddress=*\n[Client]\nUser=4711\n[Grant]\nAction=allow\n"
					    "MemlockLimit=2M\n");
	assert_int_equal(memlock(f).status, HELPER_REFUSED);
	assert_int_equal(soft_limit(f), SOFT);
}

static void wants_a_device_that_was_prepared(void **state)
{
	struct fixture *f = *state;
	struct helper_request request;

	load(f, "MemlockLimit=2M");
	request = request_of(f);
	request.transaction++;
	assert_int_equal(ask_memlock(f, &request, f->accepted).status, HELPER_NO_SUCH_TRANSACTION);
	request = request_of(f);
	assert_int_equal(journal_close(f->helper.journal, f->transaction), 0);
	assert_int_equal(ask_memlock(f, &request, f->accepted).status, HELPER_NO_SUCH_TRANSACTION);
	assert_int_equal(soft_limit(f), SOFT);
}

static void wants_the_policy_that_the_broker_has(void **state)
{
	struct fixture *f = *state;
	struct helper_request request;

	load(f, "MemlockLimit=2M");
	request = request_of(f);
	request.digest[0] ^= 1;
	assert_int_equal(ask_memlock(f, &request, f->accepted).status, HELPER_POLICY_DIFFERS);
	assert_int_equal(soft_limit(f), SOFT);
}

static void wants_a_clients_socket(void **state)
{
	struct fixture *f = *state;
	struct helper_request request;

	load(f, "MemlockLimit=2M");
	request = request_of(f);
	assert_int_equal(ask_memlock(f, &request, f->listener).status, HELPER_BAD_REQUEST);
	assert_int_equal(ask_memlock(f, &request, STDIN_FILENO).status, HELPER_BAD_REQUEST);
}

/* Its number may be somebody else's by now: who that is makes no difference. */
static void a_client_that_died_is_nobody(void **state)
{
	struct fixture *f = *state;
	struct helper_reply reply;

	load(f, "MemlockLimit=2M");
	if (!has_pidfds(f))
		skip();
	end_client(f);
	reply = memlock(f);
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_non_null(strstr(reply.detail, "ended"));
}

/* `text` is what sysfs says of /dev/iommu; NULL: nothing. */
static void set_number(struct fixture *f, const char *text)
{
	fake_sysfs_write(f->sysfs, "class/misc/iommu/dev", text);
}

static void only_an_iommufd_is_asked_anything(void **state)
{
	struct fixture *f = *state;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), zero = open("/dev/zero", O_RDWR | O_CLOEXEC);
	struct helper_reply reply;

	load(f, "RlimitMode=mm");
	reply = rlimit_mode(f, null);
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_string_equal(reply.detail, "this kernel has no iommufd");
	set_number(f, "1:3\n");
	reply = rlimit_mode(f, zero);
	assert_int_equal(reply.status, HELPER_BAD_REQUEST);
	assert_string_equal(reply.detail, "the second descriptor is no iommufd");
	assert_int_equal(rlimit_mode(f, f->accepted).status, HELPER_BAD_REQUEST);
	assert_int_equal(rlimit_mode(f, f->helper.journal_dir_fd).status, HELPER_BAD_REQUEST);
	/* Here the kernel is asked, and /dev/null is what answers. */
	reply = rlimit_mode(f, null);
	assert_int_equal(reply.status, HELPER_FAULT);
	assert_int_equal(reply.error, ENOTTY);
	set_number(f, "iommu\n");
	assert_int_equal(rlimit_mode(f, null).status, HELPER_BAD_REQUEST);
	close(null);
	close(zero);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(raises_the_limit_to_what_the_rule_says),
		TEST(without_a_pidfd_it_says_so),
		TEST(does_nothing_that_the_rule_does_not_say),
		TEST(does_nothing_for_who_may_not_have_the_device),
		TEST(wants_a_device_that_was_prepared),
		TEST(wants_the_policy_that_the_broker_has),
		TEST(wants_a_clients_socket),
		TEST(a_client_that_died_is_nobody),
		TEST(only_an_iommufd_is_asked_anything),
	};

	return cmocka_run_group_tests_name("helper-limits", tests, NULL, NULL);
}
