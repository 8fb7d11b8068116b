---@meta

---@alias lazycelery.Phase "stopped"|"starting"|"ready"|"lost"|"refused"

---@class lazycelery.Error
---@field code integer
---@field message string
---@field data? { kind: string, position?: integer, expected?: string }

---@class lazycelery.FeedEvent
---@field result? lazycelery.FeedResult
---@field error? lazycelery.Error
---@field lost? string why the server is gone
---@field subscribed? boolean what follows carries everything

---@class lazycelery.Feed
---@field update fun(change: table, done?: fun(err: lazycelery.Error?))
---@field renew fun() subscribes again after an error
---@field stop fun()

---@class lazycelery.FeedResult
---@field rows? table[] new or changed ones
---@field keys? string[] of the window in order, where order or membership changed
---@field row? table of a watch
---@field total? integer
---@field exact? boolean
---@field undecided? integer rows that lack the field the filter asks for
---@field incomplete? string[] what could not be looked at in time
---@field more? boolean another part follows

---@class lazycelery.ViewId
---@field environment string
---@field view string
---@field key? string
---@field filter? string

---@class lazycelery.EnvironmentRow
---@field name string
---@field transport? string
---@field url? string
---@field url_from? string
---@field status "idle"|"connecting"|"connected"|"disconnected"
---@field error? string
---@field retry_in? number
---@field events? "flowing"|"silent"|"off"
---@field missed? { from: number, to: number, refilled: boolean? }[]
---@field counts? table<string, integer>
---@field rates? { received: number, succeeded: number, failed: number }
---@field now? number
---@field production? boolean
---@field read_only? boolean

---@class lazycelery.Options
---@field cmd string[]
---@field environment? string
---@field interval number
---@field rows integer
---@field path_map table<string, string>
---@field keys table<string, table<string, string|false>>
---@field columns table<string, string[]>
---@field ascii boolean
---@field calm boolean
---@field winbar boolean
---@field statusline boolean
---@field listed boolean

--- A piece of text and its highlight group.
---@class lazycelery.Chunk
---@field [1] string
---@field [2]? string

--- Bytes of a line (start, end) and their highlight group.
---@class lazycelery.Span
---@field [1] integer
---@field [2] integer
---@field [3] string

-- The few functions of libuv that are used; Neovim ships no types of it.

---@class uv.uv_timer_t
---@field start fun(self: uv.uv_timer_t, timeout: integer, again: integer, callback: fun())
---@field stop fun(self: uv.uv_timer_t)
---@field close fun(self: uv.uv_timer_t)

---@class uv
---@field now fun(): integer
---@field gettimeofday fun(): integer, integer
---@field new_timer fun(): uv.uv_timer_t?
---@field fs_stat fun(path: string): { type: string, size: integer }?
---@field os_homedir fun(): string
---@field cwd fun(): string

---@class lazycelery.Column
---@field field string its name, for the option `columns`
---@field title string
---@field rank integer the lowest come first into what room there is
---@field min integer cells it never has less than
---@field max? integer cells it grows to
---@field flex? boolean takes what room is left
---@field align? "right"
---@field cut? "left" where the end tells more than the start
---@field hl? string
---@field sort? string the protocol's name to sort by
---@field descending? boolean what `gs` begins with
---@field yields_to? string column that stands for it where that one fits
---@field format fun(row: table, context: lazycelery.Context): string|lazycelery.Chunk[]|nil, string?

---@class lazycelery.Place
---@field column lazycelery.Column
---@field width integer
---@field x integer display cells before it

---@class lazycelery.Grid
---@field columns lazycelery.Column[]
---@field seen table<string, integer> widest cell of each column
---@field shown lazycelery.Place[]
---@field width integer
---@field generation integer
---@field grown? boolean

---@class lazycelery.Key
---@field [1] string
---@field [2] string name of the action
---@field modes? string[] default { "n" }

--- A view is data: what it asks for, how a row looks, what its keys do.
---@class lazycelery.ViewDef
---@field name string
---@field title string
---@field noun string
---@field layout "list"|"detail"
---@field feed? string method to subscribe to
---@field poll? string method to call again and again, where there is no feed
---@field params? fun(id: lazycelery.ViewId): table
---@field filtered? boolean takes a filter
---@field sort? string
---@field columns? lazycelery.Column[]
---@field compose? fun(page: lazycelery.Page, row: table, context: lazycelery.Context)
---@field head? fun(row: table?, id: lazycelery.ViewId): string title of a detail
---@field keys lazycelery.Key[]
---@field open? fun(row: table, item: any): string?, string? view and key that <CR> leads to
---@field up? string
---@field identity fun(row: table): string? what `gy` yanks
---@field empty? fun(environment: lazycelery.EnvironmentRow?, id: lazycelery.ViewId): string[]

---@class lazycelery.View
---@field buf integer
---@field id lazycelery.ViewId
---@field def lazycelery.ViewDef
---@field grid lazycelery.Grid empty for a detail
---@field feed? lazycelery.Feed
---@field rows table<string, table>
---@field keys string[] of the window, in order
---@field total? integer
---@field exact? boolean
---@field undecided? integer
---@field incomplete? string[]
---@field loaded boolean a whole answer was shown
---@field since integer vim.uv.now() when it was asked for
---@field limit integer
---@field sort? string
---@field filter? string in force
---@field paused boolean
---@field error? lazycelery.Error
---@field lost? string
---@field shown string[] id of each line
---@field width? integer display cells it was laid out for
---@field lines string[]
---@field spans lazycelery.Span[][]
---@field items table<string, any> what stands on a line of a detail, by its id
---@field dim table<integer, true> lines whose row left the window
---@field cells table<string, lazycelery.CachedLine>
---@field waiting integer rows kept out while held
---@field frozen? string
---@field let_go? boolean
---@field pending? boolean
---@field scheduled? boolean
---@field confirming? integer
---@field folded? boolean
---@field closed? boolean its buffer is unloaded
---@field asleep? boolean restored from a session: it asks nothing before it is known to be safe
---@field stale? boolean what it shows is of the past
---@field loading? boolean more parts of an answer follow
---@field retrying? boolean
---@field reported? string the fault told last
---@field cancel? fun() ends what is under way
---@field turn? table of the feed that is in force
---@field is_list boolean rows stand in the buffer, not a notice

---@class lazycelery.CachedLine
---@field row table
---@field generation integer
---@field ticking boolean
---@field time number
---@field line string
---@field spans lazycelery.Span[]
