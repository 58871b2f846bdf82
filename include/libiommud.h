/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libiommud: ask iommud for devices, and receive their descriptors.
 *
 * Blocking: every call waits for the daemon's answer, without a limit of its own (the daemon has limits for its steps, and
 * for a wait that was asked for by iommud_request::wait_sec, and refuses with IOMMUD_ERROR_TIMED_OUT). Signals do not interrupt a wait. SIGPIPE is never raised.
 *
 * Threads: a connection and the leases acquired over it must be used by one thread at a time; different connections are
 * independent. The library has no global state. Descriptors are always close-on-exec.
 *
 * Results: 0 is success. IOMMUD_REFUSED (positive) says that the daemon answered with an error: nothing was done, the
 * connection is fine, and iommud_error(), iommud_error_name(), iommud_error_message() and iommud_error_parameters() say
 * why. A negative errno is a fault; outputs (ret...) are untouched then, as they are after a refusal:
 *   -ECONNRESET   the daemon closed the connection
 *   -EPROTO       the daemon sent what is no answer to the call; all descriptors that came were closed
 *   -EMFILE       not all descriptors of an answer could be received: the limit of open files is reached, or a security
 *                 module said no; those that came were closed
 *   -ENOTCONN     an earlier call on this connection failed by a fault, or its stream was stopped: the position in the
 *                 stream of messages is lost, and the connection is of no use but to keep its leases until iommud_close()
 *   -EBUSY        the connection has a subscription; nothing was sent
 *   -EINVAL       an argument is wrong; nothing was sent
 *   -ENOMEM       and other errors of the system's
 */
#ifndef LIBIOMMUD_H
#define LIBIOMMUD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define IOMMUD_REFUSED 1

#define IOMMUD_DEFAULT_SOCKET "/run/iommud/io.iommud"

struct iommud; /* a connection */
struct iommud_lease; /* what was handed out by one iommud_acquire() */

/* ---- connections ---- */

/*
 * Connects to the daemon's socket at `socket_path`; NULL means $IOMMUD_SOCKET (not in programs with raised privileges),
 * or else IOMMUD_DEFAULT_SOCKET. *ret is the caller's, iommud_close(). 0 or a negative errno: -ENOENT and -ECONNREFUSED
 * say that no daemon is there, -ENAMETOOLONG that no socket address holds the path.
 */
int iommud_open(const char *socket_path, struct iommud **ret);

/*
 * Closes the connection. That ends all its leases, unless another process inherited the descriptor. Leases' memory and
 * descriptors are not touched. Accepts NULL, returns NULL.
 */
struct iommud *iommud_close(struct iommud *connection);

/*
 * The socket; it stays the connection's: do not read, write or close it. Poll it between calls to learn that the daemon
 * is gone (POLLHUP). A process that gets a copy (FD_CLOEXEC cleared before an exec, for instance) keeps the leases alive
 * until it, too, has closed it.
 */
int iommud_get_fd(const struct iommud *connection);

/* ---- any method of the protocol, in JSON ---- */

/*
 * Called for each reply of a stream with its parameters, the text of one JSON object, borrowed until the function returns.
 * Returns 0 to go on; anything else stops the stream. It must not use the connection.
 */
typedef int (*iommud_reply_fn)(const char *parameters, void *userdata);

/*
 * Calls `method` ("io.iommud.Describe") with `parameters`, the text of one JSON object (NULL: none), and hands out the
 * parameters of the one reply: *ret_parameters (may be NULL) is borrowed until the next call on this connection.
 * 0, IOMMUD_REFUSED or a negative errno; -EMSGSIZE for a call beyond 1 MiB (the daemon's own limit is lower). A method
 * that answers with descriptors can't be called in this way: -EPROTO.
 */
int iommud_call(struct iommud *connection, const char *method, const char *parameters, const char **ret_parameters);

/*
 * The same for methods that stream: `function` is called for each reply, the last one included (which is {} where there
 * was nothing to tell). Returns 0 after the last reply, IOMMUD_REFUSED or a negative errno, or what `function` returned
 * to stop it. The daemon is not told of a stop: unless it happened in the last reply, the connection is of no further
 * use (-ENOTCONN). A subscription therefore wants a connection of its own.
 */
int iommud_call_more(struct iommud *connection, const char *method, const char *parameters, iommud_reply_fn function,
		     void *userdata);

/* ---- refusals ---- */

/* Why the daemon refused. More may be added: treat what you do not know as IOMMUD_ERROR_OTHER. */
enum iommud_error {
	IOMMUD_ERROR_NONE = 0, /* no call was refused */
	IOMMUD_ERROR_OTHER = 1, /* a name that this library does not know */
	IOMMUD_ERROR_NO_SUCH_DEVICE = 2,
	IOMMUD_ERROR_NO_SUCH_LEASE = 3,
	IOMMUD_ERROR_DENIED = 4, /* by policy, or a method that is for root, or for managers that policy names */
	IOMMUD_ERROR_NOT_VIABLE = 5,
	IOMMUD_ERROR_CONSENT_REQUIRED = 6, /* the parameters hold the token: see iommud_request::consent */
	IOMMUD_ERROR_NOT_SINGLETON = 7,
	IOMMUD_ERROR_LABEL_MISMATCH = 8,
	IOMMUD_ERROR_BUSY = 9,
	IOMMUD_ERROR_BACKEND_UNAVAILABLE = 10,
	IOMMUD_ERROR_QUOTA_EXCEEDED = 11,
	IOMMUD_ERROR_TIMED_OUT = 12,
	IOMMUD_ERROR_PREPARE_FAILED = 13,
	IOMMUD_ERROR_INVALID_CALL = 14, /* the daemon does not understand: method, parameter or message */
	IOMMUD_ERROR_RESET_SCOPE_CONFLICT = 15, /* it can't be reset without devices that others have */
	IOMMUD_ERROR_NO_SUCH_POOL = 16,
	IOMMUD_ERROR_POOL_EXHAUSTED = 17, /* fewer devices are free than were asked for */
	IOMMUD_ERROR_POLICY_INVALID =
		18, /* a reload: the files have errors, which the parameters hold; the old set stays */
	IOMMUD_ERROR_INTERRUPTED =
		19, /* the daemon was restarted before it had answered: leases are as they were before the call, or it is done; ask again */
};

/* The kind of an error's full name ("io.iommud.DeniedByPolicy"). IOMMUD_ERROR_NONE for NULL. Thread-safe. */
enum iommud_error iommud_error_from_name(const char *name);

/* Of the last call on this connection: its kind, IOMMUD_ERROR_NONE unless it was refused. */
enum iommud_error iommud_error(const struct iommud *connection);

/*
 * Of the last call on this connection, NULL unless it was refused; borrowed until the next call: the error's full name, a
 * sentence for people (never NULL after a refusal), the error's parameters as the text of a JSON object.
 */
const char *iommud_error_name(const struct iommud *connection);
const char *iommud_error_message(const struct iommud *connection);
const char *iommud_error_parameters(const struct iommud *connection);

/* ---- leases ---- */

/*
 * What is asked for. Set it to zero, then `size` to sizeof(struct iommud_request), then the rest: members that later
 * versions add mean nothing when they are zero. All is borrowed for the time of the call.
 */
struct iommud_request {
	size_t size;
	const char *const *devices; /* addresses: "0000:01:00.0"; none with a pool */
	size_t n_devices;
	const char *pool; /* any free devices of this pool of the policy's, or NULL: `devices` */
	size_t count; /* how many of the pool; 0 means 1 */
	const int *numa_node; /* where those of the pool are preferred, or NULL: anywhere */
	unsigned int
		wait_sec; /* how long to wait, in line, for what others have: seconds up to 3600, or to MaxWaitSec= of the rule; 0: not at all */
	const char *backend; /* "iommufd", "legacy", or NULL: the best there is */
	const char *consent; /* token of Explain or of IOMMUD_ERROR_CONSENT_REQUIRED, or NULL */
};

/*
 * Takes the devices of `request`. *ret is the caller's, iommud_lease_free(). The lease lives until it is released or the
 * connection is closed. 0, IOMMUD_REFUSED or a negative errno; -EINVAL for a request with neither devices nor a pool, or
 * both, or with `count` or `numa_node` but no pool, or a `size` that never was, -E2BIG for one whose newer members, unknown
 * to this library, are not zero. Blocks for as long as a device needs to be reset or a driver to let go, and before that
 * for up to `wait_sec`: when that is over it is IOMMUD_ERROR_TIMED_OUT. Who waits is served in order of arrival; to stop
 * waiting earlier is to close the connection (shutdown(2) of iommud_get_fd() from another thread or a signal's handler makes
 * the call return -ECONNRESET). After a fault, close the connection: the daemon may have granted the lease.
 */
int iommud_acquire(struct iommud *connection, const struct iommud_request *request, struct iommud_lease **ret);

/*
 * Gives the lease with this number back. Close all its descriptors and mappings first: a device lingers, unavailable to
 * anybody, until the last one is gone. 0, IOMMUD_REFUSED (IOMMUD_ERROR_NO_SUCH_LEASE) or a negative errno.
 */
int iommud_release(struct iommud *connection, uint64_t lease_id);

/*
 * Takes a lease back from whoever has it. For root, and for users whom [Manage] of the policy names with Allow=revoke; others
 * get IOMMUD_ERROR_DENIED, with what would allow it in the message. `reason` is a sentence for its client and
 * for the journal, or NULL. Returns when that has begun: the client is asked, and what is done when it does not give its
 * devices back is the policy's OnReleaseTimeout=. 0, IOMMUD_REFUSED (IOMMUD_ERROR_NO_SUCH_LEASE) or a negative errno.
 */
int iommud_revoke(struct iommud *connection, uint64_t lease_id, const char *reason);

/*
 * Has the daemon tell on this connection what happens to one lease of the caller's, from now on: above all that it is to be
 * given back. From there on the connection takes iommud_read_event() and iommud_close() only, which gives its leases back;
 * calls return -EBUSY. The program should read what comes within the daemon's SendTimeoutSec=: a connection on which too much
 * waits to be read is closed, and its leases end. 0, IOMMUD_REFUSED (IOMMUD_ERROR_NO_SUCH_LEASE: it is over, or not the
 * caller's) or a negative errno.
 */
int iommud_subscribe(struct iommud *connection, uint64_t lease_id);

/*
 * The next event, the text of one JSON object, in *ret_event: borrowed until the next call on this connection. The member
 * `event` says what happened; "releaseRequested", "leaseLingering" and "leaseReleased" say that the lease is over: close its
 * descriptors and mappings, then the connection. `message` is a sentence for people. Blocks until there is an event; poll
 * iommud_get_fd() for POLLIN first in order not to: nothing is read ahead. 0, -EINVAL without a subscription, or a negative
 * errno, after which only iommud_close() is of use.
 */
int iommud_read_event(struct iommud *connection, const char **ret_event);

/*
 * Frees the object and closes the descriptors that were not taken. Does not release the lease. Needs no connection.
 * Accepts NULL, returns NULL.
 */
struct iommud_lease *iommud_lease_free(struct iommud_lease *lease);

/* What the lease is. Texts are borrowed from the lease; the label may be NULL. */
uint64_t iommud_lease_id(const struct iommud_lease *lease);
const char *iommud_lease_backend(const struct iommud_lease *lease); /* "iommufd" or "legacy" */
const char *iommud_lease_label(const struct iommud_lease *lease);

/* The devices, in the order of the request; of a pool, the order says nothing. An `index` from iommud_lease_n_devices() on gives NULL, -1 or UINT32_MAX. */
size_t iommud_lease_n_devices(const struct iommud_lease *lease);
const char *iommud_lease_device_address(const struct iommud_lease *lease, size_t index);
uint32_t iommud_lease_device_group(const struct iommud_lease *lease, size_t index);

/*
 * SR-IOV: the VF token that a physical function shares with its virtual functions, a UUID as text, borrowed from the lease;
 * NULL where there is none: for devices without SR-IOV, and for virtual functions whose physical function is on a host driver.
 * It is a secret of the devices' user: keep it from others. With the backend legacy the kernel has been shown it. With
 * iommufd nothing has: who has the physical function and wants its virtual functions opened by legacy sets it by
 * VFIO_DEVICE_FEATURE_PCI_VF_TOKEN, and from Linux 6.17 on both are bound with it (VFIO_DEVICE_BIND_FLAG_TOKEN).
 */
const char *iommud_lease_device_vf_token(const struct iommud_lease *lease, size_t index);

/*
 * Descriptors, borrowed: the lease closes them. -1 where the backend has none, or it was taken. With iommufd there are
 * iommu_fd and a device_fd each; with legacy container_fd (the type1 IOMMU is set), and a device_fd and a group_fd each.
 */
int iommud_lease_iommu_fd(const struct iommud_lease *lease);
int iommud_lease_container_fd(const struct iommud_lease *lease);
int iommud_lease_device_fd(const struct iommud_lease *lease, size_t index);
int iommud_lease_group_fd(const struct iommud_lease *lease, size_t index);

/* The same, handed over: the descriptor is the caller's to close, and the lease has -1 in its place. */
int iommud_lease_take_iommu_fd(struct iommud_lease *lease);
int iommud_lease_take_container_fd(struct iommud_lease *lease);
int iommud_lease_take_device_fd(struct iommud_lease *lease, size_t index);
int iommud_lease_take_group_fd(struct iommud_lease *lease, size_t index);

#ifdef __cplusplus
}
#endif

#endif
