/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The interface that every varlink service has: what is served here, and in which words. Also where a method's name is
 * looked up, for this file is what adds one interface to those of the configuration.
 */
#include <stdio.h>
#include <string.h>

#include "varlink/call.h"
#include "varlink/core.h"

static const char service_idl[] = "# The Varlink Service Interface is provided by every varlink service. It\n"
				  "# describes the service and the interfaces it implements.\n"
				  "interface org.varlink.service\n"
				  "\n"
				  "# Get a list of all the interfaces a service provides and information\n"
				  "# about the implementation.\n"
				  "method GetInfo() -> (\n"
				  "  vendor: string,\n"
				  "  product: string,\n"
				  "  version: string,\n"
				  "  url: string,\n"
				  "  interfaces: []string\n"
				  ")\n"
				  "\n"
				  "# Get the description of an interface that is implemented by this service.\n"
				  "method GetInterfaceDescription(interface: string) -> (description: string)\n"
				  "\n"
				  "# The requested interface was not found.\n"
				  "error InterfaceNotFound (interface: string)\n"
				  "\n"
				  "# The requested method was not found\n"
				  "error MethodNotFound (method: string)\n"
				  "\n"
				  "# The interface defines the requested method, but the service does not\n"
				  "# implement it.\n"
				  "error MethodNotImplemented (method: string)\n"
				  "\n"
				  "# One of the passed parameters is invalid.\n"
				  "error InvalidParameter (parameter: string)\n"
				  "\n"
				  "# Client is denied access\n"
				  "error PermissionDenied ()\n"
				  "\n"
				  "# Method is expected to be called with 'more' set to true, but wasn't\n"
				  "error ExpectedMore ()\n";

static const struct varlink_interface service_interface = {
	.name = "org.varlink.service",
	.description = service_idl,
};

struct description_parameters {
	const char *interface;
};

static const struct json_field description_fields[] = {
	{ "interface", JSON_FIELD_STRING, offsetof(struct description_parameters, interface), true },
};

static json_object *interface_names(const struct varlink_server *server)
{
	json_object *names = json_object_new_array();

	if (!names)
		return NULL;
	json_object_array_add(names, json_object_new_string(service_interface.name));
	for (size_t i = 0; i < server->config.n_interfaces; i++)
		json_object_array_add(names, json_object_new_string(server->config.interfaces[i]->name));
	return names;
}

static int handle_get_info(void *userdata, struct varlink_call *call, const void *parameters)
{
	const struct varlink_server *server = userdata;
	json_object *info = json_object_new_object();

	if (info) {
		json_object_object_add(info, "vendor", json_object_new_string(server->config.vendor));
		json_object_object_add(info, "product", json_object_new_string(server->config.product));
		json_object_object_add(info, "version", json_object_new_string(server->config.version));
		json_object_object_add(info, "url", json_object_new_string(server->config.url));
		json_object_object_add(info, "interfaces", interface_names(server));
	}
	return varlink_reply(call, info, NULL, 0, false);
}

static int handle_get_description(void *userdata, struct varlink_call *call, const void *parameters)
{
	const struct description_parameters *p = parameters;
	const struct varlink_interface *interface;
	json_object *answer = json_object_new_object();

	interface = varlink_server_find_interface(userdata, p->interface, strlen(p->interface));
	if (!interface) {
		if (answer)
			json_object_object_add(answer, "interface", json_object_new_string(p->interface));
		return varlink_error(call, "org.varlink.service.InterfaceNotFound", answer);
	}
	if (answer)
		json_object_object_add(answer, "description", json_object_new_string(interface->description));
	return varlink_reply(call, answer, NULL, 0, false);
}

static const struct varlink_method service_methods[] = {
	{
		.name = "org.varlink.service.GetInfo",
		.handle = handle_get_info,
	},
	{
		.name = "org.varlink.service.GetInterfaceDescription",
		.fields = description_fields,
		.n_fields = ARRAY_SIZE(description_fields),
		.parameters_size = sizeof(struct description_parameters),
		.handle = handle_get_description,
	},
};

static const struct varlink_method *find_method(const struct varlink_method *methods, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	return NULL;
}

const struct varlink_method *varlink_server_find_method(struct varlink_server *server, const char *name,
							void **ret_userdata)
{
	const struct varlink_method *method = NULL;

	for (size_t i = 0; i < server->config.n_interfaces && !method; i++)
		method = find_method(server->config.interfaces[i]->methods, server->config.interfaces[i]->n_methods,
				     name);
	if (method) {
		*ret_userdata = server->config.userdata;
		return method;
	}
	method = find_method(service_methods, ARRAY_SIZE(service_methods), name);
	if (method)
		*ret_userdata = server;
	return method;
}

static bool has_name(const struct varlink_interface *interface, const char *name, size_t size)
{
	return strlen(interface->name) == size && memcmp(interface->name, name, size) == 0;
}

const struct varlink_interface *varlink_server_find_interface(const struct varlink_server *server, const char *name,
							      size_t size)
{
	for (size_t i = 0; i < server->config.n_interfaces; i++)
		if (has_name(server->config.interfaces[i], name, size))
			return server->config.interfaces[i];
	return has_name(&service_interface, name, size) ? &service_interface : NULL;
}
