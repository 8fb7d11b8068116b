---@meta

---@alias lazycelery.Phase "stopped"|"starting"|"ready"|"lost"|"refused"

---@class lazycelery.Error
---@field code integer
---@field message string
---@field data? lazycelery.ErrorData

---@class lazycelery.ErrorData
---@field kind string
---@field position? integer in a filter, characters from 0
---@field expected? string
---@field path? string of a file that is there already, or cannot be written
---@field locked? string the environment whose lock forbids it
---@field parameter? string that holds JSON, and where in it the mistake is, from 1
---@field line? integer
---@field column? integer characters

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
---@field hints? { position?: integer, text: string }[] what is probably not what was meant
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
---@field environments table<string, table>
---@field interval number
---@field rows integer
---@field path_map table<string, string>
---@field keys table<string, table<string, string|false>>|"tui"
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
---@field [3]? integer display cells, once measured

--- Bytes of a line (start, end) and their highlight group; without one they are concealed.
---@class lazycelery.Span
---@field [1] integer
---@field [2] integer
---@field [3]? string

-- The few functions of libuv that are used; Neovim ships no types of it.

---@class uv.uv_timer_t
---@field start fun(self: uv.uv_timer_t, timeout: integer, again: integer, callback: fun())
---@field stop fun(self: uv.uv_timer_t)
---@field close fun(self: uv.uv_timer_t)

---@class uv
---@field now fun(): integer
---@field random fun(bytes: integer): string?
---@field hrtime fun(): number
---@field gettimeofday fun(): integer, integer
---@field resident_set_memory fun(): integer
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

--- A key that was pressed, or a command, and what it is meant for.
---@class lazycelery.Press
---@field name string the action
---@field at integer vim.uv.now() by then
---@field lhs? string the key
---@field bang boolean `:LazyCelery!`
---@field count integer 0 where none was given
---@field register string
---@field first integer lines it is meant for: a count's, a selection's or a range's
---@field last integer
---@field ids string[] what stands on these lines

---@class lazycelery.Action
---@field description string
---@field run fun(view: lazycelery.View, press: lazycelery.Press)
---@field rows? boolean it is about rows: it takes a count, a selection and a range
---@field repeats? boolean `.` repeats it

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
---@field global? boolean it is of no one environment
---@field sort? string
---@field columns? lazycelery.Column[]
---@field compose? fun(page: lazycelery.Page, row: table, context: lazycelery.Context)
---@field head? fun(row: table?, id: lazycelery.ViewId): string title of a detail
---@field keys lazycelery.Key[]
---@field open? fun(row: table, item: any): string?, string?, string? view, key, environment to go to
---@field up? string
---@field identity fun(row: table): string? what `gy` yanks
---@field empty? fun(environment: lazycelery.EnvironmentRow?, id: lazycelery.ViewId): string[]
---@field editing? lazycelery.Editing what makes it a list that can be edited and written

---@alias lazycelery.EditableLine fun(view: lazycelery.View, row: table, text: string,
---  spans: lazycelery.Span[]): string, lazycelery.Span[]

--- A list whose buffer is the user's as soon as something in it was changed. All its lines are rows: what
--- else is to be said stands beside them.
---@class lazycelery.Editing
---@field concealed integer cells at the start of each line that are concealed
---@field begin fun(view: lazycelery.View) its buffer was made
---@field line lazycelery.EditableLine
---@field is_held fun(view: lazycelery.View): boolean it must not be drawn
---@field drawn fun(view: lazycelery.View, notice: lazycelery.Picture?) it was; without rows, this is why
---@field news fun(view: lazycelery.View) in place of drawing
---@field row fun(view: lazycelery.View, line: integer): table?
---@field spans fun(view: lazycelery.View, line: integer): lazycelery.Span[]

--- Where something is asked about, and done: a view, or a buffer that is written.
---@class lazycelery.Asker
---@field buf integer
---@field id lazycelery.ViewId
---@field confirming? { since: integer, over: fun()? } a question about it is open
---@field ready? { press: lazycelery.Press, at: integer, put: fun() } a question that came late
---@field cancel? fun(): string? ends what is under way, and says how

---@class lazycelery.View: lazycelery.Asker
---@field def lazycelery.ViewDef
---@field grid lazycelery.Grid empty for a detail
---@field feed? lazycelery.Feed
---@field rows table<string, table>
---@field keys string[] of the window, in order
---@field total? integer
---@field exact? boolean
---@field undecided? integer
---@field incomplete? string[]
---@field hints? { position?: integer, text: string }[]
---@field heard? fun() who else wants to know of news: the filter line
---@field loaded boolean a whole answer was shown
---@field since integer vim.uv.now() when it was asked for
---@field limit integer
---@field sort? string
---@field filter? string in force
---@field paused boolean
---@field error? lazycelery.Error
---@field lost? string
---@field shown string[] id of each line
---@field held_rows integer how many are known, those of neither window nor screen included
---@field dirty table<string, true> ids whose line may be of before
---@field moved boolean order or membership may be of before
---@field at table<string, integer> line of each id
---@field cells table<string, lazycelery.CachedLine> what stands, or last stood, in the line of an id
---@field gone table<string, true> ids whose row left the window
---@field lines? string[] the buffer's, of a notice or a page
---@field width? integer display cells it was laid out for
---@field swept? integer generation of the grid that all lines are of
---@field sweeping? integer line to go on at
---@field continuing? boolean the next slice is on its way
---@field items table<string, any> what stands on a line of a detail, by its id
---@field waiting integer rows kept out while held
---@field frozen? string
---@field let_go? boolean
---@field pending? boolean
---@field scheduled? boolean
---@field paged? boolean the page of a detail was shown
---@field shut? table<integer, table<string, true>> sections that windows have closed
---@field back_in? integer window that came back to the page, and whose folds Neovim has opened
---@field closed? boolean its buffer is unloaded
---@field asleep? boolean restored from a session: it asks nothing before it is known to be safe
---@field loading? boolean more parts of an answer follow
---@field retrying? boolean
---@field reported? string the fault told last
---@field turn? table of the feed that is in force
---@field is_list boolean rows stand in the buffer, not a notice
---@field draft? lazycelery.QueueDraft of a list that can be edited

---@class lazycelery.CachedLine
---@field row? table it was made of
---@field generation? integer of the grid
---@field ticking? boolean
---@field time? number
---@field line string
---@field spans lazycelery.Span[]
