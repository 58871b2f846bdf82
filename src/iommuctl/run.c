/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The verb run: takes devices and becomes the command. Descriptors and the connection are inherited by it, so the lease
 * lives as long as the command does, or whatever it leaves the connection to (a VMM that goes to the background).
 * There is no parent that could die before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "errors.h"
#include "substitute.h"
#include "take.h"

static int complain_placeholder(enum substitute_outcome outcome, const char *name, size_t length, size_t n_devices,
				const char *backend)
{
	int n = (int)length;

	switch (outcome) {
	case SUBSTITUTE_DONE:
		break;
	case SUBSTITUTE_AMBIGUOUS:
		return complain_usage("%.*s could be each of %zu devices; write %.*s:0}", n, name, n_devices, n - 1,
				      name);
	case SUBSTITUTE_NO_DEVICE:
		return complain_usage("%.*s: there are %zu devices, counted from 0", n, name, n_devices);
	case SUBSTITUTE_NO_DESCRIPTOR:
		complain("%.*s: the backend %s has no such descriptor; choose another by --backend", n, name, backend);
		return EXIT_FAILED;
	case SUBSTITUTE_NO_MEMORY:
		complain("out of memory");
		return EXIT_FAILED;
	}
	return EXIT_DONE;
}

/* Substitutes in all arguments but the command's name. What is replaced stays allocated: an exec follows. */
static int substitute_all(char **command, const struct descriptors *descriptors, const char *backend, bool keep)
{
	for (char **argument = command + 1; *argument; argument++) {
		_cleanup_free_ char *text = NULL;
		const char *name = NULL;
		size_t length = 0;
		enum substitute_outcome outcome = substitute(*argument, descriptors, &text, &name, &length);

		if (outcome != SUBSTITUTE_DONE)
			return complain_placeholder(outcome, name, length, descriptors->n_devices, backend);
		if (keep)
			*argument = TAKE_PTR(text);
	}
	return EXIT_DONE;
}

/* What is wrong with the names in braces whatever the descriptors will be is said before a device is touched. */
static int check_names(char **command, size_t n_devices)
{
	_cleanup_free_ int *zeros = calloc(n_devices, sizeof(*zeros));
	const struct descriptors any = { .device_fds = zeros, .group_fds = zeros, .n_devices = n_devices };

	if (!zeros) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	return substitute_all(command, &any, "", false);
}

/* -1 is fine: then there is nothing to pass on. */
static int pass_on(int fd)
{
	if (fd < 0 || fcntl(fd, F_SETFD, 0) == 0)
		return 0;
	return -errno;
}

static int pass_on_all(const struct iommud *connection, const struct descriptors *descriptors)
{
	int r = pass_on(iommud_get_fd(connection));

	if (r == 0)
		r = pass_on(descriptors->iommu_fd);
	if (r == 0)
		r = pass_on(descriptors->container_fd);
	for (size_t i = 0; i < descriptors->n_devices && r == 0; i++) {
		r = pass_on(descriptors->device_fds[i]);
		if (r == 0)
			r = pass_on(descriptors->group_fds[i]);
	}
	return r;
}

static bool is_of_lease(const char *entry)
{
	static const char *const beginnings[] = { "IOMMUD_IOMMU_FD=", "IOMMUD_CONTAINER_FD=", "IOMMUD_DEVICE_",
						  "IOMMUD_GROUP_FD_", "IOMMUD_VF_TOKEN_" };

	for (size_t i = 0; i < ARRAY_SIZE(beginnings); i++)
		if (strncmp(entry, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	return false;
}

/* Forgets what a `run` around this one has set: numbers of another lease must not be taken for this one's. */
static int clear_environment(void)
{
	for (size_t i = 0; environ && environ[i];) {
		_cleanup_free_ char *name = NULL;

		if (!is_of_lease(environ[i])) {
			i++;
			continue;
		}
		name = strndup(environ[i], strcspn(environ[i], "="));
		if (!name || unsetenv(name) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int set_number(const char *name, long long number)
{
	char text[24];

	if (number < 0)
		return 0;
	snprintf(text, sizeof(text), "%lld", number);
	return setenv(name, text, 1) < 0 ? -errno : 0;
}

static int set_text(const char *name, const char *text)
{
	return text && setenv(name, text, 1) < 0 ? -errno : 0;
}

static int set_environment(const struct iommud_lease *lease, const struct descriptors *descriptors)
{
	char name[48];
	int r = clear_environment();

	if (r == 0)
		r = set_number("IOMMUD_LEASE", (long long)iommud_lease_id(lease));
	if (r == 0)
		r = set_text("IOMMUD_BACKEND", iommud_lease_backend(lease));
	if (r == 0)
		r = set_number("IOMMUD_IOMMU_FD", descriptors->iommu_fd);
	if (r == 0)
		r = set_number("IOMMUD_CONTAINER_FD", descriptors->container_fd);
	for (size_t i = 0; i < descriptors->n_devices && r == 0; i++) {
		snprintf(name, sizeof(name), "IOMMUD_DEVICE_%zu", i);
		if (setenv(name, iommud_lease_device_address(lease, i), 1) < 0)
			return -errno;
		snprintf(name, sizeof(name), "IOMMUD_DEVICE_FD_%zu", i);
		r = set_number(name, descriptors->device_fds[i]);
		snprintf(name, sizeof(name), "IOMMUD_GROUP_FD_%zu", i);
		if (r == 0)
			r = set_number(name, descriptors->group_fds[i]);
		snprintf(name, sizeof(name), "IOMMUD_VF_TOKEN_%zu", i);
		if (r == 0)
			r = set_text(name, iommud_lease_device_vf_token(lease, i));
	}
	return r;
}

/* Returns only when the command can't be started: the exit code that env(1) and the shells use. */
static int become(char **command)
{
	int error;

	fflush(stdout);
	execvp(command[0], command);
	error = errno;
	complain("%s: %s", command[0], strerror(error));
	return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

static int run_with(struct iommud *connection, struct iommud_lease *lease, char **command)
{
	size_t n = iommud_lease_n_devices(lease);
	_cleanup_free_ int *device_fds = calloc(n, sizeof(int)), *group_fds = calloc(n, sizeof(int));
	const struct descriptors descriptors = {
		.iommu_fd = iommud_lease_iommu_fd(lease),
		.container_fd = iommud_lease_container_fd(lease),
		.device_fds = device_fds,
		.group_fds = group_fds,
		.n_devices = n,
	};
	int r = device_fds && group_fds ? 0 : -ENOMEM, code;

	for (size_t i = 0; i < n && r == 0; i++) {
		device_fds[i] = iommud_lease_device_fd(lease, i);
		group_fds[i] = iommud_lease_group_fd(lease, i);
	}
	if (r == 0)
		r = set_environment(lease, &descriptors);
	if (r == 0)
		r = pass_on_all(connection, &descriptors);
	if (r < 0)
		return report_result(connection, "run", r);
	code = substitute_all(command, &descriptors, iommud_lease_backend(lease), true);
	return code == EXIT_DONE ? become(command) : code;
}

/* How many devices there will be. */
static size_t n_named(const struct options *options, size_t n_arguments)
{
	if (!options->pool)
		return n_arguments;
	return options->count ? options->count : 1;
}

int verb_run(const struct options *options, int n_arguments, char **arguments)
{
	_cleanup_connection_ struct iommud *connection = NULL;
	_cleanup_lease_ struct iommud_lease *lease = NULL;
	int code;

	if (!options->command || !options->command[0])
		return complain_usage("which command? It follows a '--': iommuctl run DEVICE... -- COMMAND");
	code = check_devices(options, "run", n_arguments);
	if (code == EXIT_DONE)
		code = check_names(options->command, n_named(options, n_arguments));
	if (code == EXIT_DONE)
		code = connect_daemon(options, &connection);
	if (code == EXIT_DONE)
		code = take_devices(options, connection, arguments, n_arguments, &lease);
	return code == EXIT_DONE ? run_with(connection, lease, options->command) : code;
}
