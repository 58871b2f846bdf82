/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The helper's own judgement. Owns nothing, changes nothing, and has no way to say yes but one: every check passed. The
 * snapshot that is judged is the one that is journalled and compared again before the first write.
 */
#include "helper/authority.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "topology/viability.h"
#include "util/cleanup.h"

DEFINE_CLEANUP(identity, struct identity *, identity_clear)

static bool is_stream_socket(int fd)
{
	socklen_t size = sizeof(int);
	int domain, type, listens;

	if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) < 0 || domain != AF_UNIX)
		return false;
	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_STREAM)
		return false;
	/* Its credentials would be those of whoever called listen(). */
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && !listens;
}

int authority_check_socket(int fd, const char *path)
{
	struct sockaddr_un name = { 0 }, peer;
	socklen_t size = sizeof(name) - 1, peer_size = sizeof(peer);

	if (!is_stream_socket(fd))
		return -EPERM;
	/*
	 * A socket that was bound to our path in another mount namespace and then connected somewhere has its listener's
	 * credentials, often root's. But its peer has a name, as all that listen do, and a client's end has none.
	 */
	if (getpeername(fd, (struct sockaddr *)&peer, &peer_size) < 0 ||
	    peer_size > offsetof(struct sockaddr_un, sun_path))
		return -EPERM;
	if (getsockname(fd, (struct sockaddr *)&name, &size) < 0 || size > sizeof(name))
		return -EPERM;
	/* An abstract name begins with NUL, and so compares as empty. */
	return name.sun_path[0] && strcmp(name.sun_path, path) == 0 ? 0 : -EPERM;
}

__attribute__((format(printf, 3, 4))) static void answer(struct authority_answer *ret, enum helper_status status,
							 const char *format, ...)
{
	va_list args;

	*ret = (struct authority_answer){ .status = status };
	va_start(args, format);
	vsnprintf(ret->reason, sizeof(ret->reason), format, args);
	va_end(args);
}

/* What holds for every client. */
static bool judge_device(const struct device_state *snapshot, const struct device_facts *facts,
			 struct authority_answer *ret)
{
	const char *address = snapshot->id.address;

	if (facts->bridge) {
		answer(ret, HELPER_REFUSED, "%s is a bridge, which carries other devices and is never handed out",
		       address);
		return false;
	}
	if (facts->group_size == 0) {
		answer(ret, HELPER_REFUSED, "%s has no IOMMU group; is the IOMMU switched on?", address);
		return false;
	}
	if (facts->no_iommu) {
		answer(ret, HELPER_REFUSED, "%s is in a no-IOMMU group: its DMA is not translated", address);
		return false;
	}
	if (facts->obstacle[0]) {
		answer(ret, HELPER_REFUSED, "%s can't be handed out: %s", address, facts->obstacle);
		return false;
	}
	return true;
}

/* What holds for every device that is to leave its driver, or be given back to it at the end. */
static bool judge_move(const struct authority_device *moved, struct authority_answer *ret)
{
	if (!moved->facts->has_virtual_functions)
		return true;
	answer(ret, HELPER_REFUSED, "%s has virtual functions, which would be lost; set its sriov_numvfs to 0 first",
	       moved->snapshot->id.address);
	return false;
}

/* What holds for every device that is to be out of the way. */
static bool judge_bystander(const struct authority_device *bystander, const struct authority_device *device,
			    struct authority_answer *ret)
{
	const char *address = bystander->snapshot->id.address;

	if (bystander->facts->bridge) {
		answer(ret, HELPER_REFUSED, "%s is a bridge, which carries other devices and is never parked", address);
		return false;
	}
	if (bystander->facts->obstacle[0]) {
		answer(ret, HELPER_REFUSED, "%s can't be parked: %s", address, bystander->facts->obstacle);
		return false;
	}
	if (strcmp(bystander->snapshot->bus, "pci") != 0) {
		answer(ret, HELPER_REFUSED, "%s is no PCI device, and " DRIVER_PARKING " takes no other", address);
		return false;
	}
	if (bystander->facts->group_size == 0 || strcmp(bystander->facts->group, device->facts->group) != 0) {
		answer(ret, HELPER_REFUSED, "%s is in no IOMMU group with %s, and so no bystander of it", address,
		       device->snapshot->id.address);
		return false;
	}
	if (driver_is_vfio(bystander->snapshot->driver)) {
		answer(ret, HELPER_REFUSED, "%s is on %s already: it is in nobody's way, and may be somebody's",
		       address, bystander->snapshot->driver);
		return false;
	}
	return true;
}

struct policy_subject authority_subject(const struct device_state *state)
{
	return (struct policy_subject){
		.id = &state->id,
		.driver = state->driver,
		.physical_function = state->physical_function,
		.path = state->path,
		.serial = state->serial_number,
		.numa_node = state->numa_node,
	};
}

static bool judge_client(const struct authority *authority, const struct authority_device *device,
			 const struct identity *client, struct policy_decision *decision, struct authority_answer *ret)
{
	const struct device_state *snapshot = device->snapshot;
	struct policy_subject subject = authority_subject(device->prepared ? device->prepared : snapshot);

	subject.id = &snapshot->id;
	subject.physical_function = snapshot->physical_function;

	*decision = (struct policy_decision){ .action = POLICY_DENY };
	authority->decide(authority->policy, &subject, client, decision);
	if (decision->action != POLICY_ALLOW) {
		answer(ret, HELPER_REFUSED, "%s for uid %u: %s", snapshot->id.address, client->uid, decision->reason);
		return false;
	}
	/* Of a group that has grown since nothing is asked that could not have been granted. */
	if (decision->scope == POLICY_SINGLETON && device->facts->group_size != 1 && !device->prepared) {
		answer(ret, HELPER_REFUSED,
		       "%s is in a group of %zu devices, and the rule at %s:%u has GroupScope=singleton",
		       snapshot->id.address, device->facts->group_size, decision->file ? decision->file : "?",
		       decision->line);
		return false;
	}
	return true;
}

/* Nobody was asked whether the host can do without it: Force=yes was said of what the client asked for. */
static void judge_late_parking(const struct authority_device *late, const struct authority_device *device,
			       const struct policy_decision *decision, struct authority_answer *ret)
{
	const char *address = device->snapshot->id.address;

	if (!device_state_is_same_device(device->snapshot, device->prepared))
		answer(ret, HELPER_REFUSED, "%s is another device now than the one that the client was given", address);
	else if (decision->conduct.on_violation != POLICY_VIOLATION_UNBIND &&
		 decision->conduct.late_joiner != POLICY_LATE_PARK)
		answer(ret, HELPER_REFUSED,
		       "%s is not to be parked for %s: the rule at %s:%u has neither OnViolation=unbind nor LateJoiner=park",
		       late->snapshot->id.address, address, decision->file ? decision->file : "?", decision->line);
	else if (judge_bystander(late, device, ret))
		*ret = (struct authority_answer){ .status = HELPER_OK };
}

static void judge_parking(const struct authority_device *bystander, const struct authority_device *device,
			  const struct policy_decision *decision, struct authority_answer *ret)
{
	if (device->prepared)
		judge_late_parking(bystander, device, decision, ret);
	else if (decision->scope != POLICY_WHOLE || decision->bystanders != POLICY_PARK)
		answer(ret, HELPER_REFUSED, "%s is not to be parked for %s: the rule at %s:%u lacks Bystanders=park",
		       bystander->snapshot->id.address, device->snapshot->id.address,
		       decision->file ? decision->file : "?", decision->line);
	else if (judge_bystander(bystander, device, ret))
		*ret = (struct authority_answer){ .status = HELPER_OK, .force = decision->force };
}

/* Whose socket it is, if it is one of a client's. The caller clears the identity. */
static bool identify_socket(const struct authority *authority, int client_fd, struct identity *client,
			    struct authority_answer *ret)
{
	int r;

	if (authority_check_socket(client_fd, authority->client_socket) < 0) {
		answer(ret, HELPER_BAD_REQUEST, "the descriptor is no client's socket accepted at %s",
		       authority->client_socket);
		return false;
	}
	r = identity_from_socket(client_fd, client);
	if (r < 0) {
		answer(ret, HELPER_FAULT, "can't read the client's identity: %s", strerror(-r));
		ret->error = -r;
	}
	return r == 0;
}

bool authority_identify(const struct authority *authority, int client_fd, struct identity *client,
			struct authority_answer *ret)
{
	struct process_facts facts;

	if (!identify_socket(authority, client_fd, client, ret))
		return false;
	if (!authority->proc || !policy_asks_process(authority->policy))
		return true;
	process_facts_read(authority->proc, client, &facts);
	if (process_facts_store(&facts, client) == 0)
		return true;
	identity_clear(client);
	answer(ret, HELPER_FAULT, "out of memory");
	ret->error = ENOMEM;
	return false;
}

bool authority_read_process(const struct authority *authority, int client_fd, struct process_facts *facts,
			    struct authority_answer *ret)
{
	struct identity client = IDENTITY_INIT;

	if (!identify_socket(authority, client_fd, &client, ret))
		return false;
	process_facts_read(authority->proc, &client, facts);
	identity_clear(&client);
	return true;
}

static const char *release_timeout_word(enum policy_on_release_timeout value)
{
	static const char *const words[] = { [POLICY_RELEASE_LEAVE] = "leave",
					     [POLICY_RELEASE_TERMINATE] = "terminate",
					     [POLICY_RELEASE_KILL] = "kill" };

	return words[value];
}

/* What the policy says of a device that was prepared for the client, by what it was like before. */
static bool judge_prepared(const struct authority *authority, const struct device_state *snapshot,
			   const struct identity *client, struct policy_decision *decision,
			   struct authority_answer *ret)
{
	const struct policy_subject subject = authority_subject(snapshot);

	if (device_state_is_parked(snapshot)) {
		answer(ret, HELPER_REFUSED, "%s is parked: no client has it", snapshot->id.address);
		return false;
	}
	*decision = (struct policy_decision){ .action = POLICY_DENY };
	authority->decide(authority->policy, &subject, client, decision);
	if (decision->action == POLICY_ALLOW)
		return true;
	answer(ret, HELPER_REFUSED, "%s for uid %u: %s", snapshot->id.address, client->uid, decision->reason);
	return false;
}

static bool judge_signal(const struct authority *authority, const struct device_state *snapshot,
			 const struct identity *client, bool kill, struct authority_answer *ret)
{
	struct policy_decision decision;

	if (!judge_prepared(authority, snapshot, client, &decision, ret))
		return false;
	if (decision.conduct.on_release_timeout < (kill ? POLICY_RELEASE_KILL : POLICY_RELEASE_TERMINATE)) {
		answer(ret, HELPER_REFUSED, "%s:%u has OnReleaseTimeout=%s for uid %u",
		       decision.file ? decision.file : "?", decision.line,
		       release_timeout_word(decision.conduct.on_release_timeout), client->uid);
		return false;
	}
	return true;
}

/* A pidfd is missing where the kernel has none for sockets, and where the process has been reaped. */
static void explain_missing_pidfd(int client_fd, pid_t pid, struct authority_answer *ret)
{
	int r = identity_pidfd_error(client_fd);

	if (r == -ENOPROTOOPT) {
		answer(ret, HELPER_FAULT, "before Linux 6.5 no socket tells its process for sure");
		ret->error = EOPNOTSUPP;
	} else {
		answer(ret, HELPER_FAULT, "pid %d, which connected, is out of reach; it has probably ended", (int)pid);
		ret->error = r < 0 ? -r : ESRCH;
	}
}

void authority_judge_signal(const struct authority *authority, int client_fd, const struct device_state *snapshot,
			    bool kill, int *ret_pidfd, struct authority_answer *ret)
{
	struct identity client = IDENTITY_INIT;
	_cleanup_(cleanup_identity) struct identity *guard = &client;

	if (!authority_identify(authority, client_fd, guard, ret) ||
	    !judge_signal(authority, snapshot, guard, kill, ret))
		return;
	if (client.pidfd < 0) {
		explain_missing_pidfd(client_fd, client.pid, ret);
		return;
	}
	*ret = (struct authority_answer){ .status = HELPER_OK };
	*ret_pidfd = TAKE_FD(client.pidfd);
}

static bool judge_limits(const struct policy_decision *decision, enum helper_operation what,
			 struct authority_answer *ret)
{
	const char *lacks = NULL;

	if (what == HELPER_MEMLOCK && decision->limits.memlock == POLICY_MEMLOCK_LEAVE)
		lacks = "MemlockLimit=";
	else if (what == HELPER_RLIMIT_MODE && decision->limits.rlimit_mode != POLICY_RLIMIT_MM)
		lacks = "RlimitMode=mm";
	if (lacks)
		answer(ret, HELPER_REFUSED, "the rule at %s:%u lacks %s", decision->file ? decision->file : "?",
		       decision->line, lacks);
	return !lacks;
}

void authority_judge_limits(const struct authority *authority, int client_fd, const struct device_state *snapshot,
			    enum helper_operation what, struct authority_limits *ret, struct authority_answer *answer)
{
	struct policy_decision decision;
	struct identity client = IDENTITY_INIT;
	_cleanup_(cleanup_identity) struct identity *guard = &client;

	if (!authority_identify(authority, client_fd, guard, answer) ||
	    !judge_prepared(authority, snapshot, guard, &decision, answer) || !judge_limits(&decision, what, answer))
		return;
	if (what == HELPER_MEMLOCK && client.pidfd < 0) {
		explain_missing_pidfd(client_fd, client.pid, answer);
		return;
	}
	*answer = (struct authority_answer){ .status = HELPER_OK };
	*ret = (struct authority_limits){ .limits = decision.limits, .pid = client.pid, .pidfd = -1 };
	if (what == HELPER_MEMLOCK)
		ret->pidfd = TAKE_FD(client.pidfd);
}

/* One that was cut off would be another one. */
static void take_label(const struct policy_decision *decision, const char *address, struct authority_answer *ret)
{
	ret->label.kind = decision->label ? decision->label_kind : POLICY_LABEL_NONE;
	if (ret->label.kind == POLICY_LABEL_NONE ||
	    (size_t)snprintf(ret->label.text, sizeof(ret->label.text), "%s", decision->label) < sizeof(ret->label.text))
		return;
	answer(ret, HELPER_REFUSED, "%s: a security context of more than %d bytes can't be put on nodes", address,
	       SECURITY_CONTEXT_MAX - 1);
}

void authority_judge(const struct authority *authority, const struct identity *client,
		     const struct authority_device *device, const struct authority_device *bystander,
		     struct authority_answer *ret)
{
	struct policy_decision decision;

	if (!judge_move(bystander ? bystander : device, ret) || !judge_device(device->snapshot, device->facts, ret) ||
	    !judge_client(authority, device, client, &decision, ret))
		return;
	if (bystander) {
		judge_parking(bystander, device, &decision, ret);
		return;
	}
	*ret = (struct authority_answer){ .status = HELPER_OK,
					  .force = decision.force,
					  .reset = decision.conduct.reset };
	take_label(&decision, device->snapshot->id.address, ret);
}
