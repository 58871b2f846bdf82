/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events on the connection of a lease, one at a time, for programs that poll. The stream has no end but that of the connection,
 * which makes no other call from there on.
 */
#include <stdio.h>

#include "internal.h"

EXPORT int iommud_subscribe(struct iommud *connection, uint64_t lease_id)
{
	_cleanup_json_ json_object *parameters = NULL;
	char text[64];
	const char *event;
	bool continues;
	int n = snprintf(text, sizeof(text), "{\"lease\":%llu}", (unsigned long long)lease_id), r;

	if (!connection || lease_id == 0 || lease_id > INT64_MAX)
		return -EINVAL;
	r = iommud_json_parse(text, n, &parameters);
	if (r == 0)
		r = iommud_call_send(connection, "io.iommud.Subscribe", parameters, true);
	if (r == 0)
		r = iommud_call_receive_text(connection, &event, &continues);
	if (r != 0)
		return r;
	if (!continues)
		return iommud_break(connection, -EPROTO);
	connection->subscribed = true;
	return 0;
}

EXPORT int iommud_read_event(struct iommud *connection, const char **ret_event)
{
	bool continues;
	int r;

	if (!connection || !connection->subscribed || !ret_event)
		return -EINVAL;
	if (connection->broken)
		return -ENOTCONN;
	r = iommud_call_receive_text(connection, ret_event, &continues);
	if (r == IOMMUD_REFUSED || (r == 0 && !continues))
		return iommud_break(connection, -EPROTO);
	return r;
}
