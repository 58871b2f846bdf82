/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "fake-helper.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "util/cleanup.h"
#include "util/fileio.h"

static void must(bool fine, const char *what)
{
	if (fine)
		return;
	perror(what);
	abort();
}

void fake_helper_start(struct fake_helper *helper, struct fake_sysfs *sysfs)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memset(helper, 0, sizeof(*helper));
	helper->sysfs = sysfs;
	helper->connection = -1;
	snprintf(helper->path, sizeof(helper->path), "/tmp/iommud-fake-helper-%d", getpid());
	unlink(helper->path);
	strcpy(address.sun_path, helper->path);
	helper->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	must(bind(helper->listener, (struct sockaddr *)&address, sizeof(address)) == 0, "bind");
	must(listen(helper->listener, 4) == 0, "listen");
}

void fake_helper_kill(struct fake_helper *helper)
{
	helper->connection = close_fd(helper->connection);
	helper->n_held = 0;
}

void fake_helper_stop(struct fake_helper *helper)
{
	fake_helper_kill(helper);
	close_fd(helper->listener);
	unlink(helper->path);
}

/* One stays on its driver; that it is made again at the end is not shown here. */
static bool is_mdev(struct fake_helper *helper, const char *address)
{
	char path[128];

	snprintf(path, sizeof(path), "bus/mdev/devices/%s", address);
	return faccessat(fake_sysfs_fd(helper->sysfs), path, F_OK, 0) == 0;
}

static const char *bus_of(struct fake_helper *helper, const char *address)
{
	return is_mdev(helper, address) ? "mdev" : "pci";
}

static void current_driver(struct fake_helper *helper, const char *address, char driver[DEVICE_DRIVER_MAX])
{
	char path[128];

	snprintf(path, sizeof(path), "bus/%s/devices/%s/driver", bus_of(helper, address), address);
	if (read_link_name_at(fake_sysfs_fd(helper->sysfs), path, driver, DEVICE_DRIVER_MAX) < 0)
		driver[0] = '\0';
}

/* 0: there is no such device. */
static uint64_t current_node(struct fake_helper *helper, const char *address)
{
	char path[128];
	struct stat st;

	snprintf(path, sizeof(path), "bus/%s/devices/%s", bus_of(helper, address), address);
	return fstatat(fake_sysfs_fd(helper->sysfs), path, &st, 0) < 0 ? 0 : st.st_ino;
}

/* A late PARK of what is parked already. */
static struct fake_transaction *find_parked(struct fake_helper *helper, const struct helper_request *request)
{
	for (uint64_t i = 0; request->flags & HELPER_LATE && i < helper->n_transactions; i++) {
		struct fake_transaction *transaction = &helper->transactions[i];

		if (transaction->open && transaction->parked && strcmp(transaction->address, request->address) == 0)
			return transaction;
	}
	return NULL;
}

static void note(struct fake_helper *helper, const char *what, const char *address)
{
	size_t used = strlen(helper->trace);

	snprintf(helper->trace + used, sizeof(helper->trace) - used, "%s(%s) ", what, address);
}

/* False: it failed, and the device is not prepared. */
static bool reset(struct fake_helper *helper, const struct helper_request *request, struct helper_reply *reply)
{
	if (!(request->flags & HELPER_RESET) || (helper->reset_error == ENOENT && !helper->reset_status))
		return true;
	note(helper, "reset", request->address);
	reply->reset_done = !helper->reset_error;
	if (!helper->reset_error)
		return true;
	reply->status = helper->reset_status ? helper->reset_status : HELPER_FAULT;
	reply->step = HELPER_STEP_RESET;
	reply->error = helper->reset_error;
	return false;
}

static void begin(struct fake_helper *helper, const struct helper_request *request, struct helper_reply *reply)
{
	struct fake_transaction *transaction = &helper->transactions[helper->n_transactions];

	if (find_parked(helper, request)) {
		transaction = find_parked(helper, request);
		reply->transaction = transaction - helper->transactions + 1;
	} else {
		must(helper->n_transactions < FAKE_TRANSACTIONS, "transactions");
		reply->transaction = ++helper->n_transactions;
		transaction->open = true;
		strcpy(transaction->address, request->address);
		current_driver(helper, request->address, transaction->driver);
		transaction->parked = request->operation == HELPER_PARK;
		transaction->node = current_node(helper, request->address);
	}
	strcpy(reply->driver, transaction->driver);
	if (!is_mdev(helper, request->address))
		fake_sysfs_set_driver(helper->sysfs, request->address, transaction->parked ? "pci-stub" : "vfio-pci");
}

static void fail(struct fake_helper *helper, const struct helper_request *request, struct helper_reply *reply)
{
	reply->status = helper->fail_status;
	reply->error = helper->fail_error ? helper->fail_error : EBUSY;
	reply->step = helper->fail_error ? helper->fail_step : HELPER_STEP_UNBIND;
	if (helper->fail_status == HELPER_IN_USE)
		strcpy(reply->detail, "eth0 has the address 192.0.2.1");
	if (helper->fail_open)
		begin(helper, request, reply);
}

static void prepare(struct fake_helper *helper, const struct helper_request *request, struct helper_reply *reply)
{
	if (helper->fail_status && strcmp(helper->fail_address, request->address) == 0) {
		fail(helper, request, reply);
		return;
	}
	if (!current_node(helper, request->address)) {
		reply->status = HELPER_NO_SUCH_DEVICE;
		return;
	}
	if (!reset(helper, request, reply))
		return;
	begin(helper, request, reply);
	note(helper, request->operation == HELPER_PARK ? "park" : "prepare", request->address);
}

static void restore(struct fake_helper *helper, const struct helper_request *request, struct helper_reply *reply)
{
	struct fake_transaction *transaction = &helper->transactions[request->transaction - 1];

	if (request->transaction == 0 || request->transaction > helper->n_transactions || !transaction->open) {
		reply->status = HELPER_NO_SUCH_TRANSACTION;
		return;
	}
	if (transaction->node && current_node(helper, transaction->address) != transaction->node) {
		transaction->open = false;
		note(helper, "replaced", transaction->address);
		reply->status = HELPER_REPLACED;
		return;
	}
	if (strcmp(helper->denied_address, transaction->address) == 0 &&
	    (fake_helper_n_open(helper) > 1 || helper->denied_once)) {
		helper->denied_once = false;
		fake_sysfs_set_driver(helper->sysfs, transaction->address, NULL);
		reply->status = HELPER_FAULT;
		reply->step = HELPER_STEP_BIND;
		reply->error = EBUSY;
		return;
	}
	if (helper->n_restores_fail) {
		helper->n_restores_fail--;
		reply->status = HELPER_FAULT;
		reply->step = HELPER_STEP_UNBIND;
		reply->error = EIO;
		return;
	}
	transaction->open = false;
	note(helper, request->flags & HELPER_STAYS ? "stay" : "restore", transaction->address);
	if (!is_mdev(helper, transaction->address))
		fake_sysfs_set_driver(helper->sysfs, transaction->address,
				      transaction->driver[0] ? transaction->driver : NULL);
}

static void next(struct fake_helper *helper, const struct helper_request *request, struct helper_reply *reply)
{
	reply->status = HELPER_NO_SUCH_TRANSACTION;
	for (uint64_t i = request->transaction; i < helper->n_transactions; i++)
		if (helper->transactions[i].open) {
			reply->status = HELPER_OK;
			reply->transaction = i + 1;
			strcpy(reply->address, helper->transactions[i].address);
			strcpy(reply->driver, helper->transactions[i].driver);
			reply->parked = helper->transactions[i].parked;
			return;
		}
}

static void find_holders(struct fake_helper *helper, const struct helper_request *request, struct helper_reply *reply)
{
	reply->transaction = request->transaction;
	reply->status = helper->holders_status;
	reply->n_holders = helper->n_holders;
	memcpy(reply->holders, helper->holders, sizeof(reply->holders));
}

static void make_vfs(struct fake_helper *helper, const struct helper_request *request, struct helper_reply *reply)
{
	note(helper, "make-vfs", request->address);
	reply->status = helper->vfs_status;
	reply->n_made = helper->vfs_made;
	memcpy(reply->detail, helper->vfs_detail, sizeof(reply->detail));
	if (memcmp(request->digest, helper->digest, DIGEST_SIZE) != 0)
		reply->status = HELPER_POLICY_DIFFERS;
}

static void signal_client(struct fake_helper *helper, const struct helper_request *request, struct helper_reply *reply)
{
	const struct fake_transaction *transaction = &helper->transactions[request->transaction - 1];

	reply->transaction = request->transaction;
	reply->status = helper->signal_status;
	if (!transaction->open || memcmp(helper->digest, request->digest, DIGEST_SIZE) != 0)
		reply->status = HELPER_REFUSED;
	if (reply->status == HELPER_OK)
		note(helper, request->flags & HELPER_KILL ? "kill" : "terminate", transaction->address);
	if (helper->signal_detail)
		snprintf(reply->detail, sizeof(reply->detail), "%s", helper->signal_detail);
}

static void set_limit(struct fake_helper *helper, const struct helper_request *request, const char *what,
		      const struct fake_limit *limit, struct helper_reply *reply)
{
	const struct fake_transaction *transaction = &helper->transactions[request->transaction - 1];

	reply->transaction = request->transaction;
	reply->status = limit->status;
	reply->error = limit->error;
	if (!transaction->open)
		reply->status = HELPER_NO_SUCH_TRANSACTION;
	else if (memcmp(helper->digest, request->digest, DIGEST_SIZE) != 0)
		reply->status = HELPER_POLICY_DIFFERS;
	if (reply->status == HELPER_OK)
		note(helper, what, transaction->address);
	if (limit->detail)
		snprintf(reply->detail, sizeof(reply->detail), "%s", limit->detail);
}

static void answer(struct fake_helper *helper, const struct helper_request *request)
{
	struct helper_reply reply = { .version = HELPER_VERSION, .serial = request->serial };

	memcpy(reply.digest, helper->digest, DIGEST_SIZE);
	if (request->operation == HELPER_PREPARE || request->operation == HELPER_PARK)
		prepare(helper, request, &reply);
	else if (request->operation == HELPER_RESTORE)
		restore(helper, request, &reply);
	else if (request->operation == HELPER_NEXT)
		next(helper, request, &reply);
	else if (request->operation == HELPER_HOLDERS)
		find_holders(helper, request, &reply);
	else if (request->operation == HELPER_MAKE_VFS)
		make_vfs(helper, request, &reply);
	else if (request->operation == HELPER_SIGNAL)
		signal_client(helper, request, &reply);
	else if (request->operation == HELPER_MEMLOCK)
		set_limit(helper, request, "memlock", &helper->memlock, &reply);
	else if (request->operation == HELPER_RLIMIT_MODE)
		set_limit(helper, request, "mm", &helper->rlimit_mode, &reply);
	else if (request->operation == HELPER_IDENTIFY) {
		reply.process = helper->process;
		reply.status = helper->identify_status;
	}
	must(send(helper->connection, &reply, sizeof(reply), MSG_NOSIGNAL) == sizeof(reply), "send");
}

static void timed_out(struct fake_helper *helper, const struct helper_request *request)
{
	struct helper_reply reply = { .version = HELPER_VERSION,
				      .serial = request->serial,
				      .status = HELPER_TIMED_OUT,
				      .step = HELPER_STEP_UNBIND };

	must(send(helper->connection, &reply, sizeof(reply), MSG_NOSIGNAL) == sizeof(reply), "send");
}

static void take(struct fake_helper *helper, const struct helper_request *request)
{
	bool moves = request->operation == HELPER_PREPARE || request->operation == HELPER_PARK ||
		     request->operation == HELPER_RESTORE;
	bool limits = request->operation == HELPER_MEMLOCK || request->operation == HELPER_RLIMIT_MODE;
	bool lingers = helper->linger && request->operation == HELPER_RESTORE &&
		       !helper->transactions[request->transaction - 1].parked;

	helper->n_requests[request->operation]++;
	if (helper->holders_silent && request->operation == HELPER_HOLDERS)
		return;
	if (helper->identify_silent && request->operation == HELPER_IDENTIFY)
		return;
	if (lingers)
		timed_out(helper, request);
	if (lingers || (helper->hold && moves) || (helper->hold_limits && limits))
		helper->held[helper->n_held++] = *request;
	else
		answer(helper, request);
}

/* Descriptors that come along are closed, as the helper does after its job. */
static ssize_t receive(struct fake_helper *helper, struct helper_request *request)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec iov = { request, sizeof(*request) };
	struct msghdr message = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)
	};
	ssize_t n = recvmsg(helper->connection, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;

	if (n <= 0)
		return n;
	helper->n_fds = header && header->cmsg_type == SCM_RIGHTS ? (header->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
	for (size_t i = 0; i < helper->n_fds; i++)
		close(((const int *)(const void *)CMSG_DATA(header))[i]);
	return n;
}

unsigned int fake_helper_serve(struct fake_helper *helper)
{
	struct helper_request request;
	unsigned int n = 0;

	if (helper->connection < 0)
		helper->connection = accept4(helper->listener, NULL, NULL, SOCK_CLOEXEC);
	while (helper->connection >= 0 && receive(helper, &request) == sizeof(request)) {
		take(helper, &request);
		n++;
	}
	return n;
}

void fake_helper_release(struct fake_helper *helper)
{
	size_t n = helper->n_held;

	helper->n_held = 0;
	for (size_t i = 0; i < n; i++)
		answer(helper, &helper->held[i]);
}

size_t fake_helper_n_open(const struct fake_helper *helper)
{
	size_t n = 0;

	for (uint64_t i = 0; i < helper->n_transactions; i++)
		n += helper->transactions[i].open;
	return n;
}
