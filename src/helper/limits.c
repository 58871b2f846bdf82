/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * MEMLOCK and RLIMIT_MODE. How much, and which mode, is what the helper's own policy says for the client at the other end of
 * the socket and for the device as it was before it was prepared; the broker says only that it is time. An iommufd that it
 * passes is looked at first: another file's ioctl could do anything, and wait for anybody.
 */
#include "helper/limits.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "helper/authority.h"
#include "helper/connection.h"
#include "helper/memlock.h"
#include "util/cleanup.h"
#include "util/fileio.h"
#include "util/log.h"
#include "util/memory.h"

/* Of linux/iommufd.h (Linux 6.2), which the headers of Debian 12 do not have. */
struct iommu_option {
	uint32_t size;
	uint32_t option_id;
	uint16_t op;
	uint16_t reserved;
	uint32_t object_id;
	uint64_t value;
};

#define IOMMU_OPTION _IO(';', 0x87)
#define IOMMU_OPTION_RLIMIT_MODE 0
#define IOMMU_OPTION_OP_SET 0
#define IOMMU_RLIMIT_MODE_MM 1

#define SYSFS_IOMMUFD "class/misc/iommu/dev"

static void answer(struct helper *helper, uint64_t connection, const struct helper_request *request,
		   const struct authority_answer *said)
{
	struct helper_reply reply = reply_new(request->serial, said->status);

	reply.transaction = request->transaction;
	reply.error = said->error;
	snprintf(reply.detail, sizeof(reply.detail), "%.*s", HELPER_DETAIL_MAX - 1, said->reason);
	connection_reply(helper, connection, &reply);
}

static struct authority_answer say(enum helper_status status, int error, const char *reason)
{
	struct authority_answer said = { .status = status, .error = error };

	snprintf(said.reason, sizeof(said.reason), "%s", reason);
	return said;
}

/* The policy's word. With OK, `ret` is to be cleared. */
static struct authority_answer judge(const struct helper *helper, const struct helper_request *request, int client_fd,
				     enum helper_operation what, struct authority_limits *ret)
{
	const struct authority authority = { .decide = policy_decide,
					     .policy = helper->policy,
					     .client_socket = helper->options.client_socket,
					     .proc = "/proc" };
	const struct transaction *transaction = journal_find(helper->journal, request->transaction);
	struct authority_answer said;

	if (memcmp(policy_digest(helper->policy), request->digest, DIGEST_SIZE) != 0)
		return say(HELPER_POLICY_DIFFERS, 0, "broker and helper have different policies in force; reload both");
	if (!transaction || !transaction->prepared)
		return say(HELPER_NO_SUCH_TRANSACTION, 0, "there is no such transaction");
	authority_judge_limits(&authority, client_fd, &transaction->snapshot, what, ret, &said);
	return said;
}

static void log_memlock(const char *address, const struct authority_limits *allowed, uint64_t bytes, int r)
{
	char device[64], amount[32] = "infinity";
	const char *const fields[] = { device, NULL };

	snprintf(device, sizeof(device), "IOMMUD_DEVICE=%s", address);
	if (bytes != POLICY_MEMLOCK_INFINITY)
		snprintf(amount, sizeof(amount), "%llu bytes", (unsigned long long)bytes);
	log_fields(r < 0 ? LOG_WARNING : LOG_INFO, fields, "%s: RLIMIT_MEMLOCK of pid %d is to be at least %s: %s",
		   address, (int)allowed->pid, amount, r < 0 ? strerror(-r) : "done");
}

static struct authority_answer raise_memlock(const struct helper *helper, const struct helper_request *request,
					     int client_fd)
{
	struct authority_limits allowed = { .pidfd = -1 };
	struct authority_answer said = judge(helper, request, client_fd, HELPER_MEMLOCK, &allowed);
	_cleanup_fd_ int pidfd = allowed.pidfd;
	uint64_t bytes;
	int r;

	if (said.status != HELPER_OK)
		return said;
	bytes = policy_memlock_bytes(&allowed.limits, memory_of_machine());
	r = memlock_raise(allowed.pid, pidfd, bytes);
	log_memlock(journal_find(helper->journal, request->transaction)->snapshot.id.address, &allowed, bytes, r);
	if (r == -ESRCH)
		return say(HELPER_FAULT, ESRCH, "the process that connected has ended");
	return r < 0 ? say(HELPER_FAULT, -r, strerror(-r)) : said;
}

void limits_memlock(struct helper *helper, uint64_t connection, const struct helper_request *request, int client_fd)
{
	const struct authority_answer said = raise_memlock(helper, request, client_fd);

	answer(helper, connection, request, &said);
}

/* Whether it is of the kernel's own /dev/iommu: its number is in sysfs, whatever nodes there are. */
static int check_iommufd(const struct helper *helper, int fd)
{
	unsigned int node_major, node_minor;
	char text[32];
	struct stat st;
	int r = read_file_at(helper->sysfs_fd, SYSFS_IOMMUFD, text, sizeof(text));

	if (r < 0)
		return r;
	if (sscanf(text, "%u:%u", &node_major, &node_minor) != 2)
		return -EIO;
	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISCHR(st.st_mode) && st.st_rdev == makedev(node_major, node_minor) ? 0 : -EBADF;
}

static struct authority_answer set_rlimit_mode(const struct helper *helper, const struct helper_request *request,
					       int client_fd, int iommu_fd)
{
	struct iommu_option option = { .size = sizeof(option),
				       .option_id = IOMMU_OPTION_RLIMIT_MODE,
				       .op = IOMMU_OPTION_OP_SET,
				       .value = IOMMU_RLIMIT_MODE_MM };
	struct authority_limits allowed = { .pidfd = -1 };
	struct authority_answer said = judge(helper, request, client_fd, HELPER_RLIMIT_MODE, &allowed);
	int r;

	if (said.status != HELPER_OK)
		return said;
	r = check_iommufd(helper, iommu_fd);
	if (r == -ENOENT)
		return say(HELPER_FAULT, ENODEV, "this kernel has no iommufd");
	if (r < 0)
		return say(HELPER_BAD_REQUEST, -r, "the second descriptor is no iommufd");
	if (ioctl(iommu_fd, IOMMU_OPTION, &option) < 0)
		return say(HELPER_FAULT, errno, strerror(errno));
	return said;
}

void limits_rlimit_mode(struct helper *helper, uint64_t connection, const struct helper_request *request, int client_fd,
			int iommu_fd)
{
	const struct authority_answer said = set_rlimit_mode(helper, request, client_fd, iommu_fd);

	answer(helper, connection, request, &said);
}
