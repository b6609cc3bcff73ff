// SPDX-License-Identifier: LGPL-2.1-or-later
namespace Aio {
	[CCode (cname = "aio_bh_new_full")]
	public static unowned BH bh_new (Context context, string? name, owned BHFunc func);
	[CCode (cname = "aio_bh_new_for_object_full")]
	public static unowned BH bh_new_for_object (Context context, string? name, GLib.Object object, owned BHFunc func);
}
