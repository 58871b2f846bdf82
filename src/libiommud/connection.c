/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A connection's beginning and end. Owns the socket and what the last call left behind. */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "internal.h"

static const char *socket_path_default(void)
{
	const char *path = secure_getenv("IOMMUD_SOCKET");

	return path && *path ? path : IOMMUD_DEFAULT_SOCKET;
}

/* Returns the socket or a negative errno. */
static int socket_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_fd_ int fd = -1;
	int r;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	do
		r = connect(fd, (struct sockaddr *)&address, sizeof(address));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	return TAKE_FD(fd);
}

EXPORT int iommud_open(const char *socket_path, struct iommud **ret)
{
	struct iommud *connection;
	int fd;

	fd = socket_connect(socket_path ? socket_path : socket_path_default());
	if (fd < 0)
		return fd;
	connection = calloc(1, sizeof(*connection));
	if (!connection) {
		close_fd(fd);
		return -ENOMEM;
	}
	connection->fd = fd;
	*ret = connection;
	return 0;
}

EXPORT struct iommud *iommud_close(struct iommud *connection)
{
	if (!connection)
		return NULL;
	iommud_error_clear(connection);
	json_object_put(connection->reply);
	close_fd(connection->fd);
	free(connection);
	return NULL;
}

EXPORT int iommud_get_fd(const struct iommud *connection)
{
	return connection->fd;
}
