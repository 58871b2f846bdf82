/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scripted varlink server, see the header. The script is read anew for every call: there is no state but the bytes
 * of a call that is not whole yet.
 */
#include "fake-server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "util/cleanup.h"

#define MESSAGE_MAX 65536
#define FDS_MAX 253

static void die(const char *what)
{
	fprintf(stderr, "fake-server: %s: %s\n", what, strerror(errno));
	abort();
}

static int numbered_file(unsigned int number)
{
	char text[16];
	int fd = memfd_create("fake", MFD_CLOEXEC);
	int n = snprintf(text, sizeof(text), "%u", number);

	if (fd < 0 || write(fd, text, n) != n)
		die("memfd");
	return fd;
}

/* Sends all bytes, `n_fds` descriptors with the first of them. False when the client is gone. */
static bool send_bytes(int fd, const char *bytes, size_t size, unsigned int n_fds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { (char *)bytes, size };
	struct msghdr header = { .msg_iov = &iov, .msg_iovlen = 1 };
	int fds[FDS_MAX];
	ssize_t n;

	if (n_fds > 0) {
		struct cmsghdr *message = &control.align;

		header.msg_control = &control;
		header.msg_controllen = CMSG_SPACE(sizeof(int) * n_fds);
		message->cmsg_level = SOL_SOCKET;
		message->cmsg_type = SCM_RIGHTS;
		message->cmsg_len = CMSG_LEN(sizeof(int) * n_fds);
		for (unsigned int i = 0; i < n_fds; i++)
			fds[i] = numbered_file(i);
		memcpy(CMSG_DATA(message), fds, sizeof(int) * n_fds);
	}
	n = sendmsg(fd, &header, MSG_NOSIGNAL);
	for (unsigned int i = 0; i < n_fds; i++)
		close(fds[i]);
	if (n > 0 && (size_t)n < size)
		return send_bytes(fd, bytes + n, size - n, 0);
	return n >= 0;
}

static bool send_raw(int fd, const char *text, unsigned int n_fds)
{
	_cleanup_free_ char *bytes = malloc(strlen(text) + 1);
	size_t size = 0;

	if (!bytes)
		die("malloc");
	while (*text) {
		bool nul = strncmp(text, "\\0", 2) == 0;

		bytes[size++] = nul ? '\0' : *text;
		text += nul ? 2 : 1;
	}
	return send_bytes(fd, bytes, size, n_fds);
}

static bool send_fill(int fd, size_t size, unsigned int n_fds)
{
	_cleanup_free_ char *bytes = malloc(size);

	if (!bytes)
		die("malloc");
	memset(bytes, 'x', size);
	return send_bytes(fd, bytes, size, n_fds);
}

static bool send_format(int fd, unsigned int n_fds, const char *format, const char *first, const char *second)
{
	_cleanup_free_ char *text = NULL;

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	if (asprintf(&text, format, first, second) < 0)
		die("asprintf");
#pragma GCC diagnostic pop
	return send_bytes(fd, text, strlen(text) + 1, n_fds);
}

static bool send_error(int fd, char *arguments)
{
	char *name = strsep(&arguments, " ");

	return send_format(fd, 0, "{\"error\":\"%s\",\"parameters\":%s}", name, arguments ? arguments : "{}");
}

/* One line of the answer. Returns false when the connection is to be closed. */
static bool run_step(int fd, char *step, unsigned int *n_fds)
{
	char *verb = strsep(&step, " ");
	char *rest = step ? step : verb + strlen(verb);
	unsigned int n = *n_fds;

	if (strcmp(verb, "fds") == 0) {
		*n_fds = atoi(rest);
		return true;
	}
	*n_fds = 0;
	if (strcmp(verb, "reply") == 0)
		return send_format(fd, n, "{\"parameters\":%s%s}", rest, "");
	if (strcmp(verb, "more") == 0)
		return send_format(fd, n, "{\"parameters\":%s,\"continues\":%s}", rest, "true");
	if (strcmp(verb, "error") == 0)
		return send_error(fd, rest);
	if (strcmp(verb, "raw") == 0)
		return send_raw(fd, rest, n);
	if (strcmp(verb, "fill") == 0)
		return send_fill(fd, strtoul(rest, NULL, 10), n);
	if (strcmp(verb, "close") == 0)
		return false;
	errno = EINVAL;
	die(verb);
	return false;
}

/* Whether the line "call METHOD [TEXT]" is for this message. */
static bool step_fits(char *arguments, const char *message)
{
	char quoted[128];

	snprintf(quoted, sizeof(quoted), "\"%s\"", strsep(&arguments, " "));
	return strstr(message, quoted) && (!arguments || strstr(message, arguments));
}

static bool answer(int fd, const char *script, const char *message)
{
	_cleanup_free_ char *copy = strdup(script);
	char *rest = copy, *line;
	bool found = false;
	unsigned int n_fds = 0;

	if (!copy)
		die("strdup");
	while ((line = strsep(&rest, "\n"))) {
		line += strspn(line, " \t");
		if (!*line || *line == '#')
			continue;
		if (strncmp(line, "call ", 5) == 0) {
			if (found)
				return true;
			found = step_fits(line + 5, message);
		} else if (found && !run_step(fd, line, &n_fds)) {
			return false;
		}
	}
	if (found)
		return true;
	return send_format(fd, 0, "{\"error\":\"%s\",\"parameters\":{\"method\":\"%s\"}}",
			   "org.varlink.service.MethodNotFound", "?");
}

static void serve_client(int fd, const char *script, int log_fd)
{
	static char buffer[MESSAGE_MAX];
	size_t size = 0;

	for (;;) {
		char *nul = memchr(buffer, '\0', size);
		ssize_t n;

		if (nul) {
			dprintf(log_fd, "call %s\n", buffer);
			if (!answer(fd, script, buffer))
				return;
			size -= nul + 1 - buffer;
			memmove(buffer, nul + 1, size);
			continue;
		}
		n = read(fd, buffer + size, sizeof(buffer) - size);
		if (n <= 0)
			return;
		size += n;
	}
}

void fake_serve(int listener, const char *script, int log_fd)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			die("accept");
		serve_client(fd, script, log_fd);
		close(fd);
		dprintf(log_fd, "gone\n");
	}
}

int fake_listen(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_fd_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 8) < 0)
		return -1;
	return TAKE_FD(fd);
}

void fake_server_start(struct fake_server *server, const char *script)
{
	int log[2], listener;

	strcpy(server->directory, "/tmp/iommud-fake-XXXXXX");
	if (!mkdtemp(server->directory) || pipe2(log, O_CLOEXEC) < 0)
		die("temporary folder");
	snprintf(server->path, sizeof(server->path), "%s/socket", server->directory);
	listener = fake_listen(server->path);
	if (listener < 0)
		die(server->path);
	server->pid = fork();
	if (server->pid < 0)
		die("fork");
	if (server->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(log[0]);
		fake_serve(listener, script, log[1]);
	}
	close(listener);
	close(log[1]);
	server->log_fd = log[0];
}

void fake_server_read_log(struct fake_server *server, char *line, size_t size)
{
	size_t n = 0;

	while (n + 1 < size && read(server->log_fd, line + n, 1) == 1 && line[n] != '\n')
		n++;
	line[n] = '\0';
}

void fake_server_stop(struct fake_server *server)
{
	kill(server->pid, SIGKILL);
	waitpid(server->pid, NULL, 0);
	close(server->log_fd);
	unlink(server->path);
	rmdir(server->directory);
}
