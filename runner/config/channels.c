/* SPDX-License-Identifier: Apache-2.0 */
/* The section `channels:`: where `notify` sends, each a program that takes the text on
 * its stdin and in MIDWATCH_KEY the key that is the same when a message comes twice. */
#include "config/internal.h"

#include <stdlib.h>

static int read_channel(struct config *c, const struct yaml *key, const struct yaml *y, struct channel *ch, struct err *e)
{
    static const char *const keys[] = {"argv", "timeout"};
    const struct yaml *timeout;

    ch->name = xstrndup(key->text.p, key->text.n);
    if (str_is(key->text, "terminal"))
        return FAIL(key, "the channel 'terminal' is there already");
    if (y->type != YAML_MAP || !yaml_get(y, "argv"))
        return FAIL(y, "a channel is a map like { argv: [sendmail, oncall@example.org] }");
    if (yaml_only_keys(y, c->file, keys, 2, e) < 0 || config_words(c, yaml_get(y, "argv"), "argv", &ch->argv, e) < 0)
        return e->code;
    ch->timeout_ms = 10000;
    timeout = yaml_get(y, "timeout");
    if (timeout && str_duration_ms(timeout->text, &ch->timeout_ms) < 0)
        return FAIL(timeout, "timeout: a duration like 10s is wanted");
    return 0;
}

int channels_read_section(struct config *c, const struct yaml *y, struct err *e)
{
    size_t i;

    if (y->type != YAML_MAP)
        return FAIL(y, "channels must be a map of names");
    c->channels = xcalloc(y->n, sizeof(*c->channels));
    for (i = 0; i < y->n; i++) {
        c->nchannels++;
        if (read_channel(c, y->keys[i], y->items[i], &c->channels[i], e) < 0)
            return e->code;
    }
    return 0;
}

void channels_free_section(struct config *c)
{
    size_t i;

    for (i = 0; i < c->nchannels; i++) {
        free(c->channels[i].name);
        config_free_words(c->channels[i].argv);
    }
    free(c->channels);
}

const struct channel *config_channel(const struct config *c, struct str name, struct err *e)
{
    const char *names[64] = {"terminal"}, *near;
    size_t i, n = 1;

    for (i = 0; c && i < c->nchannels; i++) {
        if (str_is(name, c->channels[i].name))
            return &c->channels[i];
        if (n < 64)
            names[n++] = c->channels[i].name;
    }
    near = str_nearest(name, names, n);
    err_set(e, ERR_NOT_FOUND, "there is no channel '%.*s'", (int)(name.n > 100 ? 100 : name.n), name.p);
    err_hint(e, near ? "did you mean '%s'?" : "channels: of midwatch.yaml has them", near);
    return NULL;
}
