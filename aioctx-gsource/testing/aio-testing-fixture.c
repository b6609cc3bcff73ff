/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <aioctx-gsource/testing/aio-testing-private.h>

/**
 * aio_testing_fixture_set_up:
 * @fixture: a fixture
 * @data: (nullable): not used
 *
 * Makes the testing context of a fixture. The macro aio_testing_add() passes it to g_test_add(); if
 * your fixture has more in it, call it first in your own function.
 *
 * Thread: any thread.
 *
 * Since: 1.0
 */
void
aio_testing_fixture_set_up (AioTestingFixture *fixture,
                            gconstpointer      data)
{
  g_return_if_fail (fixture != NULL);

  fixture->context = aio_testing_context_new ();
}

/**
 * aio_testing_fixture_tear_down:
 * @fixture: a fixture
 * @data: (nullable): not used
 *
 * Asserts that nothing is left in the context of a fixture, as [func@testing_assert_clean] does,
 * and that nobody else holds a reference to it; then drops it.
 *
 * Thread: home thread.
 *
 * Since: 1.0
 */
void
aio_testing_fixture_tear_down (AioTestingFixture *fixture,
                               gconstpointer      data)
{
  Place place = { G_LOG_DOMAIN, "aio-testing", 0, G_STRFUNC };
  Kit *kit;
  guint refs;

  g_return_if_fail (fixture != NULL);
  kit = kit_of (fixture->context, G_STRFUNC);
  if (kit == NULL)
    return;

  aio_testing_assert_clean (fixture->context);
  refs = hooks->get_refs (fixture->context);
  if (refs != 1)
    fail (&place, kit, g_strdup_printf ("is not gone, others hold %u reference%s to it", refs - 1,
                                        refs == 2 ? "" : "s"));
  g_clear_pointer (&fixture->context, aio_context_unref);
}
