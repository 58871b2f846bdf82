/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The answer of Acquire, decoded: a lease with its descriptors. Strict, for a descriptor under a wrong name would let a
 * client do the right thing to the wrong device: every index must exist, every descriptor that came must be named exactly
 * once, and each backend must bring all that it has and nothing else.
 */
#include <string.h>

#include "internal.h"

/* An integer of `object` in 0..maximum. */
static int get_number(json_object *object, const char *key, uint64_t maximum, uint64_t *ret)
{
	json_object *value;
	int64_t number;

	if (!json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, json_type_int))
		return -EPROTO;
	number = json_object_get_int64(value);
	if (number < 0 || (uint64_t)number > maximum)
		return -EPROTO;
	*ret = number;
	return 0;
}

/* A copy of a string. Absent or null gives NULL when `optional`. */
static int get_string(json_object *object, const char *key, bool optional, char **ret)
{
	json_object *value = NULL;
	const char *text;
	char *copy;

	json_object_object_get_ex(object, key, &value);
	if (!value && optional)
		return 0;
	if (!json_object_is_type(value, json_type_string))
		return -EPROTO;
	text = json_object_get_string(value);
	if (strlen(text) != (size_t)json_object_get_string_len(value))
		return -EPROTO;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

/* Takes the descriptor that `key` names out of the message, if `wanted`; else the key must be absent or null. */
static int take_fd(json_object *object, const char *key, bool wanted, struct iommud_message *message, int *ret)
{
	json_object *value;
	uint64_t index;
	int r;

	if (!wanted)
		return json_object_object_get_ex(object, key, &value) && value ? -EPROTO : 0;
	if (message->n_fds == 0)
		return -EPROTO;
	r = get_number(object, key, message->n_fds - 1, &index);
	if (r < 0)
		return r;
	if (message->fds[index] < 0)
		return -EPROTO;
	*ret = TAKE_FD(message->fds[index]);
	return 0;
}

static int decode_device(json_object *object, bool legacy, struct iommud_message *message,
			 struct iommud_lease_device *device)
{
	uint64_t group;
	int r;

	if (!json_object_is_type(object, json_type_object))
		return -EPROTO;
	r = get_string(object, "address", false, &device->address);
	if (r == 0)
		r = get_number(object, "group", UINT32_MAX - 1, &group);
	if (r == 0)
		r = take_fd(object, "deviceFileDescriptor", true, message, &device->device_fd);
	if (r == 0)
		r = take_fd(object, "groupFileDescriptor", legacy, message, &device->group_fd);
	if (r == 0)
		r = get_string(object, "vfToken", true, &device->vf_token);
	if (r == 0)
		device->group = group;
	return r;
}

static int decode_devices(json_object *devices, bool legacy, struct iommud_message *message, struct iommud_lease *lease)
{
	int r = 0;

	for (size_t i = 0; i < lease->n_devices && r == 0; i++)
		r = decode_device(json_object_array_get_idx(devices, i), legacy, message, &lease->devices[i]);
	return r;
}

static bool all_taken(const struct iommud_message *message)
{
	for (size_t i = 0; i < message->n_fds; i++)
		if (message->fds[i] >= 0)
			return false;
	return true;
}

static int decode_backend(const char *backend, bool *ret_legacy)
{
	bool legacy = strcmp(backend, "legacy") == 0;

	if (!legacy && strcmp(backend, "iommufd") != 0)
		return -EPROTO;
	*ret_legacy = legacy;
	return 0;
}

int iommud_lease_decode(struct iommud_reply *reply, size_t n_devices, struct iommud_lease **ret)
{
	_cleanup_(cleanup_lease) struct iommud_lease *lease = NULL;
	json_object *parameters = reply->parameters, *devices;
	bool legacy = false;
	int r;

	if (!json_object_object_get_ex(parameters, "devices", &devices) ||
	    !json_object_is_type(devices, json_type_array) || json_object_array_length(devices) != n_devices)
		return -EPROTO;
	r = iommud_lease_new(n_devices, &lease);
	if (r == 0)
		r = get_number(parameters, "lease", INT64_MAX, &lease->id);
	if (r == 0)
		r = get_string(parameters, "backend", false, &lease->backend);
	if (r == 0)
		r = decode_backend(lease->backend, &legacy);
	if (r == 0)
		r = get_string(parameters, "label", true, &lease->label);
	if (r == 0)
		r = take_fd(parameters, "iommuFileDescriptor", !legacy, &reply->message, &lease->iommu_fd);
	if (r == 0)
		r = take_fd(parameters, "containerFileDescriptor", legacy, &reply->message, &lease->container_fd);
	if (r == 0)
		r = decode_devices(devices, legacy, &reply->message, lease);
	if (r == 0 && !all_taken(&reply->message))
		r = -EPROTO;
	if (r < 0)
		return r;
	*ret = TAKE_PTR(lease);
	return 0;
}
