/* SPDX-License-Identifier: Apache-2.0 */
/* The declarations as the language's faces want them: one text for each, so that a
 * run's state decodes only those that its code looks at. */
#include "plugin/internal.h"

#include "base/json.h"
#include "base/limits.h"

#include <stdlib.h>

static const char *const sections[FACE_SECTIONS] = {"effects", "reads", "things"};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct vm_field *)a)->name, ((const struct vm_field *)b)->name);
}

static struct vm_record record_of(const json_t *section)
{
    struct vm_field *fields = xcalloc(json_object_size(section) + 1, sizeof(*fields));
    const char *name;
    json_t *spec;
    size_t n = 0;

    json_object_foreach((json_t *)(uintptr_t)section, name, spec) {
        struct buf text = BUF_INIT(VALUE_BYTES_MAX);
        size_t len;
        char *p;

        json_add_value(&text, spec);
        p = buf_take(&text, &len);
        fields[n++] = (struct vm_field){.name = name, .json = {p, len}};
    }
    qsort(fields, n, sizeof(*fields), by_name);
    return (struct vm_record){.fields = fields, .n = n};
}

int registry_face(struct registry *r, const char *instance, const char *plugin, const struct vm_record **out, struct err *e)
{
    struct body *b;
    size_t i;
    int rc = body_find(r, instance, plugin, &b, e);

    for (i = 0; rc == 0 && i < FACE_SECTIONS; i++) {
        if (!b->face[i].fields)
            b->face[i] = record_of(json_object_get(b->declared, sections[i]));
    }
    if (rc == 0)
        *out = b->face;
    return rc;
}

void face_free(struct body *b)
{
    size_t i, k;

    for (i = 0; i < FACE_SECTIONS; i++) {
        for (k = 0; k < b->face[i].n; k++)
            free((char *)(uintptr_t)b->face[i].fields[k].json.p);
        free((struct vm_field *)(uintptr_t)b->face[i].fields);
    }
}
