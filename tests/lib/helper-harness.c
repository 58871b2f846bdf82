/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "helper-harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define BROKER_USER "nobody"
#define BROKER_UID 65534

static const char rules[] =
	"[Match]\nAddress=" NIC " " DISK " " BARE " " IDLE " " STUB " " TWIN_A " " BRIDGE " " LOOSE
	"\n[Client]\nUser=root\n[Grant]\nAction=allow\n"
	"[Match]\nAddress=" WANTED "\n[Client]\nUser=root\n[Grant]\nAction=allow\nGroupScope=whole\nBystanders=park\n";

static void add_device(struct harness *harness, const char *address, uint16_t device, int group, const char *driver,
		       const char *override)
{
	const struct fuse_sysfs_device is = {
		.address = address,
		.vendor = 0x8086,
		.device = device,
		.subsystem_vendor = 0x1af4,
		.subsystem_device = 0x1100,
		.class = 0x020000,
		.group = group,
		.driver = driver,
		.driver_override = override,
		.serial = strcmp(address, NIC) == 0 ? 0x525400fffe123456 : 0,
		.bridge = strcmp(address, BRIDGE) == 0 || strcmp(address, ELBOW) == 0,
	};

	fuse_sysfs_add_device(harness->sysfs, &is);
}

static void add_machine(struct harness *harness)
{
	fuse_sysfs_add_driver(harness->sysfs, "e1000e", "8086:10d3");
	fuse_sysfs_add_driver(harness->sysfs, "nvme", "8086:5845");
	fuse_sysfs_add_driver(harness->sysfs, "pci-stub", NULL);
	fuse_sysfs_add_driver(harness->sysfs, "vfio-pci", NULL);
	fuse_sysfs_add_driver(harness->sysfs, "mlx5_vfio_pci", NULL);
	add_device(harness, NIC, 0x10d3, 1, "e1000e", NULL);
	add_device(harness, DISK, 0x5845, 2, "nvme", NULL);
	add_device(harness, BARE, 0x0003, 3, NULL, "nothing-yet");
	add_device(harness, IDLE, 0x0004, 4, "mlx5_vfio_pci", NULL);
	add_device(harness, STUB, 0x0005, 5, "pci-stub", NULL);
	add_device(harness, TWIN_A, 0x10d3, 6, "e1000e", NULL);
	add_device(harness, TWIN_B, 0x10d3, 6, "e1000e", NULL);
	add_device(harness, BRIDGE, 0x0007, 7, NULL, NULL);
	add_device(harness, LOOSE, 0x10d3, -1, "e1000e", NULL);
	add_device(harness, FORBIDDEN, 0x10d3, 9, "e1000e", NULL);
	add_device(harness, WANTED, 0x10d3, 10, "e1000e", NULL);
	add_device(harness, BYSTANDER, 0x5845, 10, "nvme", NULL);
	add_device(harness, ONLOOKER, 0x10d3, 10, "e1000e", "e1000e");
	add_device(harness, ELBOW, 0x0007, 10, NULL, NULL);
}

int harness_hook(void *userdata, const struct fuse_sysfs_write *write_)
{
	struct harness *harness = userdata;

	if (write_->after)
		assert_int_equal(write(harness->events_writer, "", 1), 1);
	return 0;
}

static struct sockaddr_un name_of(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	return name;
}

static int bind_socket(int type, const char *path)
{
	struct sockaddr_un name = name_of(path);
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	return fd;
}

static void connect_client(struct harness *harness)
{
	struct sockaddr_un name = name_of(harness->client_path);

	harness->listener = bind_socket(SOCK_STREAM, harness->client_path);
	assert_int_equal(listen(harness->listener, 4), 0);
	harness->client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(harness->client, (struct sockaddr *)&name, sizeof(name)), 0);
	harness->accepted = accept4(harness->listener, NULL, NULL, SOCK_CLOEXEC);
	assert_true(harness->accepted >= 0);
}

static void make_dir(struct harness *harness)
{
	char path[96];

	strcpy(harness->dir, "/tmp/iommud-helper-XXXXXX");
	assert_non_null(mkdtemp(harness->dir));
	assert_int_equal(chmod(harness->dir, 0711), 0); /* the broker reaches its socket */
	snprintf(harness->socket_path, sizeof(harness->socket_path), "%s/helper", harness->dir);
	snprintf(harness->client_path, sizeof(harness->client_path), "%s/io.iommud", harness->dir);
	snprintf(path, sizeof(path), "%s/policy", harness->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/notify", harness->dir);
	harness->notify_fd = bind_socket(SOCK_DGRAM, path);
	assert_int_equal(setenv("NOTIFY_SOCKET", path, 1), 0);
}

void harness_start(struct harness *harness)
{
	int events[2], r;

	*harness = (struct harness){ .helper = -1, .broker = -1 };
	if (geteuid() != 0) {
		print_message("not root: the helper can't be tested here\n");
		skip();
	}
	r = fuse_sysfs_new(&harness->sysfs);
	if (r < 0) {
		print_message("no FUSE here: %s\n", strerror(-r));
		skip();
	}
	/* Workers that outlive a helper are ours to wait for. */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	assert_int_equal(pipe2(events, O_CLOEXEC), 0);
	harness->events = events[0];
	harness->events_writer = events[1];
	add_machine(harness);
	fuse_sysfs_set_hook(harness->sysfs, harness_hook, harness);
	make_dir(harness);
	harness_write_policy(harness, rules);
	connect_client(harness);
	harness_start_helper(harness);
	harness_connect_broker(harness);
}

void harness_stop(struct harness *harness)
{
	char command[128];

	if (!harness->sysfs)
		return;
	close(harness->broker);
	if (harness->helper > 0) {
		kill(-harness->helper, SIGKILL);
		fuse_sysfs_let_all_go(harness->sysfs);
		harness_reap_helper(harness);
	}
	close(harness->listener);
	close(harness->client);
	close(harness->accepted);
	close(harness->notify_fd);
	harness->sysfs = fuse_sysfs_free(harness->sysfs);
	close(harness->events);
	close(harness->events_writer);
	snprintf(command, sizeof(command), "rm -rf %s", harness->dir);
	assert_int_equal(system(command), 0);
}

void harness_write_policy(struct harness *harness, const char *text)
{
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/policy/10-test.policy", harness->dir);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static __attribute__((noreturn)) void exec_helper(const struct harness *harness)
{
	const char *build = getenv("IOMMUD_BUILD");
	char program[256], journal[96], policy[96], config[96];

	snprintf(program, sizeof(program), "%s/iommud-helper", build ? build : "build");
	snprintf(journal, sizeof(journal), "%s/journal", harness->dir);
	snprintf(policy, sizeof(policy), "%s/policy", harness->dir);
	snprintf(config, sizeof(config), "%s/iommud.conf", harness->dir);
	setpgid(0, 0);
	execl(program, program, "--config", config, "--socket", harness->socket_path, "--broker-user", BROKER_USER,
	      "--client-socket", harness->client_path, "--journal", journal, "--sysfs", fuse_sysfs_path(harness->sysfs),
	      "--policy", policy, "--policy-any-owner", NULL);
	perror(program);
	_exit(127);
}

static bool wait_readable(int fd, int milliseconds)
{
	struct pollfd slot = { .fd = fd, .events = POLLIN };
	int r;

	do
		r = poll(&slot, 1, milliseconds);
	while (r < 0 && errno == EINTR);
	return r > 0;
}

static void wait_ready(struct harness *harness)
{
	char text[256];
	ssize_t n;

	do {
		if (!wait_readable(harness->notify_fd, HARNESS_WAIT * 1000))
			fail_msg("the helper did not become ready");
		n = recv(harness->notify_fd, text, sizeof(text) - 1, 0);
		assert_true(n >= 0);
		text[n] = '\0';
	} while (!strstr(text, "READY=1"));
}

static void write_config(const struct harness *harness)
{
	char path[96];
	FILE *file;

	snprintf(path, sizeof(path), "%s/iommud.conf", harness->dir);
	file = fopen(path, "we");
	assert_non_null(file);
	fputs("[Helper]\n", file);
	if (harness->timeout)
		fprintf(file, "WorkerTimeoutSec=%s\n", harness->timeout);
	if (harness->max_workers)
		fprintf(file, "MaxWorkers=%s\n", harness->max_workers);
	assert_int_equal(fclose(file), 0);
}

void harness_start_helper(struct harness *harness)
{
	write_config(harness);
	harness->helper = fork();
	assert_true(harness->helper >= 0);
	if (harness->helper == 0)
		exec_helper(harness);
	setpgid(harness->helper, harness->helper);
	wait_ready(harness);
}

void harness_stop_helper(struct harness *harness)
{
	int status;

	assert_int_equal(kill(harness->helper, SIGTERM), 0);
	assert_int_equal(waitpid(harness->helper, &status, 0), harness->helper);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	harness->helper = -1;
}

void harness_reap_helper(struct harness *harness)
{
	while (waitpid(-harness->helper, NULL, 0) > 0 || errno == EINTR)
		;
	harness->helper = -1;
}

/* The raw call changes this thread only, not the ones that serve the file system. */
static void become(uid_t uid)
{
	assert_int_equal(syscall(SYS_setresuid, -1, uid, -1), 0);
}

int harness_connect(struct harness *harness, uid_t uid)
{
	struct sockaddr_un name = name_of(harness->socket_path);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	int r, error;

	assert_true(fd >= 0);
	become(uid);
	r = connect(fd, (struct sockaddr *)&name, sizeof(name));
	error = errno;
	become(0);
	if (r == 0)
		return fd;
	close(fd);
	errno = error;
	return -1;
}

void harness_connect_broker(struct harness *harness)
{
	struct helper_request hello = harness_request(harness, HELPER_HELLO);
	struct helper_reply reply;

	if (harness->broker >= 0)
		close(harness->broker);
	harness->broker = harness_connect(harness, BROKER_UID);
	if (harness->broker < 0)
		fail_msg("connect: %s", strerror(errno));
	reply = harness_call(harness, &hello, -1);
	memcpy(harness->digest, reply.digest, DIGEST_SIZE);
	memcpy(hello.digest, reply.digest, DIGEST_SIZE);
	reply = harness_call(harness, &hello, -1);
	assert_int_equal(reply.status, HELPER_OK);
}

struct helper_request harness_request(struct harness *harness, enum helper_operation operation)
{
	struct helper_request request;

	memset(&request, 0, sizeof(request));
	request.version = HELPER_VERSION;
	request.operation = operation;
	request.serial = ++harness->serial;
	return request;
}

void harness_send_raw(int fd, const void *data, size_t size, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr header;
		char buffer[CMSG_SPACE(16 * sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)data, size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n_fds) {
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.header), fds, n_fds * sizeof(int));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	}
	assert_int_equal(sendmsg(fd, &message, MSG_NOSIGNAL), size);
}

void harness_send(struct harness *harness, const struct helper_request *request, int fd)
{
	harness_send_raw(harness->broker, request, sizeof(*request), &fd, fd >= 0);
}

bool harness_receive(struct harness *harness, struct helper_reply *ret)
{
	ssize_t n;

	if (!wait_readable(harness->broker, HARNESS_WAIT * 1000))
		fail_msg("no reply");
	n = recv(harness->broker, ret, sizeof(*ret), 0);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return false;
	assert_int_equal(n, sizeof(*ret));
	assert_int_equal(ret->version, HELPER_VERSION);
	return true;
}

struct helper_reply harness_call(struct harness *harness, const struct helper_request *request, int fd)
{
	struct helper_reply reply;

	harness_send(harness, request, fd);
	assert_true(harness_receive(harness, &reply));
	assert_int_equal(reply.serial, request->serial);
	return reply;
}

static struct helper_request prepare_request(struct harness *harness, const char *address)
{
	struct helper_request request = harness_request(harness, HELPER_PREPARE);

	snprintf(request.address, sizeof(request.address), "%s", address);
	memcpy(request.digest, harness->digest, DIGEST_SIZE);
	return request;
}

struct helper_reply harness_prepare(struct harness *harness, const char *address)
{
	struct helper_request request = prepare_request(harness, address);

	return harness_call(harness, &request, harness->accepted);
}

static struct helper_request park_request(struct harness *harness, const char *address, const char *for_address)
{
	struct helper_request request = prepare_request(harness, address);

	request.operation = HELPER_PARK;
	snprintf(request.for_address, sizeof(request.for_address), "%s", for_address);
	return request;
}

struct helper_reply harness_park(struct harness *harness, const char *address, const char *for_address)
{
	struct helper_request request = park_request(harness, address, for_address);

	return harness_call(harness, &request, harness->accepted);
}

uint64_t harness_send_park(struct harness *harness, const char *address, const char *for_address)
{
	struct helper_request request = park_request(harness, address, for_address);

	harness_send(harness, &request, harness->accepted);
	return request.serial;
}

uint64_t harness_send_prepare(struct harness *harness, const char *address)
{
	struct helper_request request = prepare_request(harness, address);

	harness_send(harness, &request, harness->accepted);
	return request.serial;
}

struct helper_reply harness_restore(struct harness *harness, uint64_t transaction)
{
	struct helper_request request = harness_request(harness, HELPER_RESTORE);

	request.transaction = transaction;
	return harness_call(harness, &request, -1);
}

uint64_t harness_send_restore(struct harness *harness, uint64_t transaction)
{
	struct helper_request request = harness_request(harness, HELPER_RESTORE);

	request.transaction = transaction;
	harness_send(harness, &request, -1);
	return request.serial;
}

void harness_wait_tree(struct harness *harness, const char *expected)
{
	char byte;

	for (;;) {
		char *now = fuse_sysfs_describe(harness->sysfs);
		bool there = strstr(now, expected) != NULL;

		if (!there && !wait_readable(harness->events, HARNESS_WAIT * 1000)) {
			print_message("the tree is\n%s", now);
			fail_msg("it did not become\n%s", expected);
		}
		free(now);
		if (there)
			return;
		assert_int_equal(read(harness->events, &byte, 1), 1);
	}
}

/* The end of the last worker makes no event that we could wait for, but the helper answers quickly. */
void harness_wait_closed(struct harness *harness)
{
	time_t until = time(NULL) + HARNESS_WAIT;

	for (;;) {
		struct helper_request next = harness_request(harness, HELPER_NEXT);

		if (harness_call(harness, &next, -1).status == HELPER_NO_SUCH_TRANSACTION)
			return;
		assert_true(time(NULL) < until);
	}
}

size_t harness_count_fds(const struct harness *harness)
{
	char path[64];
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", harness->helper);
	dir = opendir(path);
	assert_non_null(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}
