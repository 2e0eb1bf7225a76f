---@meta
-- SPDX-License-Identifier: Apache-2.0
-- The language of runbooks, for editors that speak LuaCATS. Made by `midwatch help --luacats`. A plugin's global is
-- called as the runbook's `uses` calls it; here it has the plugin's own name.

---A look at the world: give it to observe.
---@class midwatch.Read
---A change to the world: give it to remedy or temporarily.
---@class midwatch.Effect
---@class midwatch.Hypothesis
---@alias midwatch.Duration number|string seconds, or "90s", "10m", "1h30m"

---@class midwatch.ReadOptions
---@field absent? any the value where there is no data; the report shows it
---@field max_age? midwatch.Duration an older sample is unknown
---@field window? midwatch.Duration of reads over a window

---@class midwatch.ApproveOptions
---@field by? string|string[] whose yes counts
---@field of? integer how many of them
---@field within? midwatch.Duration
---@field text? string
---@field once? string asks once for all remedies of the run with this key
---@field over? integer asks only when the set has more effects than this

---@class midwatch.RemedyOptions
---@field verify (fun(): boolean)|"applied" what must hold afterwards
---@field within? midwatch.Duration how long it may take to hold
---@field when? fun(): boolean must hold before anything is sent; else the run escalates
---@field skip_if? fun(): boolean nothing is sent if it holds
---@field every? midwatch.Duration
---@field first_look? midwatch.Duration
---@field hold? midwatch.Duration it must stay true for so long
---@field on_failure? "undo"|"escalate"|"continue"
---@field approve? boolean|midwatch.ApproveOptions
---@field batch? integer
---@field pause? midwatch.Duration
---@field between? fun()
---@field stop_after_errors? integer

---@class midwatch.Remedied
---@field outcome "verified"|"skipped"|"failed"
---@field result any
---@field failed any[]

---Makes reads: the value of one, or a read-only group of many. What is not known raises inconclusive.
---@param reads midwatch.Read|table<string, midwatch.Read>
---@return any
function observe(reads) end

---True if the entry of an observed group has a value.
---@param group table
---@param name string
---@return boolean
function known(group, name) end

---@class midwatch.HypothesisSpec
---@field likelihood "high"|"medium"|"low"
---@field impact "high"|"medium"|"low"
---@field evidence? string[] names of observations, beside those that test consults
---@field test fun(): boolean

---@param title string
---@return fun(spec: midwatch.HypothesisSpec): midwatch.Hypothesis
function hypothesis(title) end

---Tests all of them; the first supported one, or NONE when all are refuted.
---@param hypotheses midwatch.Hypothesis[]|{ accept_inconclusive?: boolean }
---@return midwatch.Hypothesis
function diagnose(hypotheses) end

---@type midwatch.Hypothesis
NONE = nil

---The only way to change anything to stay: plans, checks `may`, sends, reads back, proves, undoes what did not help.
---@param title string
---@param what midwatch.Effect|midwatch.Effect[]
---@param options midwatch.RemedyOptions
---@return midwatch.Remedied
function remedy(title, what, options) end

---Applies, runs fn, and puts it back: on return, error, end, cancel, deadline and recovery.
---@generic T
---@param title string
---@param what midwatch.Effect|midwatch.Effect[]
---@param options { within: midwatch.Duration, approve?: boolean|midwatch.ApproveOptions }
---@param fn fun(): T
---@return T
function temporarily(title, what, options, fn) end

---True when fn holds, false at the end of `within`.
---@param title string
---@param options { within: midwatch.Duration, every?: midwatch.Duration, stop_if?: fun(): boolean }
---@param fn fun(): boolean
---@return boolean
function wait_until(title, options, fn) end

---@param duration midwatch.Duration
function sleep(duration) end

---Runs functions side by side; their first results under the same keys.
---@param fns table<any, fun(): any>
---@return table
function parallel(fns) end

---@param list any[]
---@param options { at_once?: integer, stop_after_errors?: integer }
---@param fn fun(item: any, index: integer): any
---@return { item: any, ok: boolean, value?: any, error?: string }[]
function each(list, options, fn) end

---A person decides. Without an answer in time the run escalates, or goes on with `otherwise`.
---@param title string
---@param choices string[]
---@param options? { to?: string, within?: midwatch.Duration, otherwise?: any }
---@return string
function ask(title, choices, options) end

---A person does something by hand. True when it is done.
---@param title string
---@param text string
---@param options? { to?: string, within?: midwatch.Duration, otherwise?: any }
---@return boolean
function manual(title, text, options) end

---@param channel string
---@param text string
function notify(channel, text) end
---A line for the timeline.
---@param text string
function note(text) end
---A number for the report.
---@param name string
---@param value number
function measure(name, value) end
---Something to do after the incident.
---@param text string
function follow_up(text) end

---Ends the run: done, and proven.
---@param text string
function resolve(text) end
---Ends the run: nothing needed to be done.
---@param text string
function no_action(text) end
---Ends the run: this is not a request to be carried out; nobody is paged.
---@param text string
function refuse(text) end
---Ends the run: a person takes over, with the evidence.
---@param text string
function escalate(text) end

---True and the result, or false and a message. Endings and inconclusive pass through.
---@param fn fun(): any
---@return boolean ok
---@return any
function try(fn) end
---A known yes beats an unknown.
---@param conditions (fun(): boolean)[]
---@return boolean
function any(conditions) end
---A known no beats an unknown.
---@param conditions (fun(): boolean)[]
---@return boolean
function all(conditions) end
---@param conditions (fun(): boolean)[]
---@return boolean
function none(conditions) end

---Unix seconds of the run's clock.
---@return number
function now() end

---@param n number
---@return number seconds
function ms(n) end
---@param n number
---@return number seconds
function seconds(n) end
---@param n number
---@return number seconds
function minutes(n) end
---@param n number
---@return number seconds
function hours(n) end
---@param n number
---@return number seconds
function days(n) end
---@param n number
---@return number ratio 0..1
function percent(n) end
---@param n number
---@return number bytes
function kib(n) end
---@param n number
---@return number bytes
function mib(n) end
---@param n number
---@return number bytes
function gib(n) end

---@class midwatch.list
---@field where fun(l: any[], condition: table|fun(item: any): boolean): any[]
---@field count fun(l: any[], condition?: table|fun(item: any): boolean): integer
---@field by fun(l: any[], field: string): any[]
---@field first fun(l: any[]): any
---@field top fun(l: any[], n: integer, field: string): any[]
---@field map fun(l: any[], fn: string|fun(item: any): any): any[]
---@field names fun(l: any[]): string[]
---@field contains fun(l: any[], value: any): boolean
list = {}

---@class midwatch.text
---@field has fun(s: string, ...: string): boolean
---@field capture fun(s: string, pattern: string): string?
---@field version fun(a: string, op: "<"|"<="|">"|">="|"=="|"~=", b: string): boolean
---@field of fun(group: table, name: string): string
text = {}

---@alias midwatch.counts { requests: number, bad: number }
---@class midwatch.stats
---@field mean fun(l: number[]): number
---@field median fun(l: number[]): number
---@field percentile fun(l: number[], p: number): number
---@field stdev fun(l: number[]): number
---@field correlation fun(xs: number[], ys: number[]): number
---@field t_test fun(a: number[], b: number[]): { t: number, df: number, p: number, difference: number }
---@field judge fun(o: { baseline?: midwatch.counts, canary?: midwatch.counts, strata?: { baseline: midwatch.counts, canary: midwatch.counts }[], alpha?: number, metrics?: number, margin?: number, tolerable?: number, at_least?: number }): { verdict: "worse"|"no worse"|"undecided", worse: number, no_worse: number, baseline: number, canary: number }
stats = {}

---The declared parameters.
---@type table<string, any>
params = {}
---@type { id: any, started: number, requester: string }
run = {}
---@type { kind: string, labels: table<string, string>, firing: fun(): boolean }
trigger = {}

