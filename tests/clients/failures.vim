" :FailedTasks fills the quickfix list with the lines at which tasks failed. For Vim and Neovim.
let s:answers = {}
let s:asked = 0
let s:rest = ''

function! s:hear(text) abort
  " Of the last line perhaps only a part has come.
  let lines = split(s:rest . a:text, "\n", 1)
  let s:rest = remove(lines, -1)
  for message in map(lines, 'json_decode(v:val)')
    if has_key(message, 'id')
      let s:answers[message.id] = message
    endif
  endfor
endfunction

if has('nvim')
  let s:server = jobstart(['lazycelery'], {'on_stdout': {_, lines, __ -> s:hear(join(lines, "\n"))}})
  let s:Write = {text -> chansend(s:server, text)}
else
  let s:server = job_start(['lazycelery'], {'mode': 'raw', 'out_cb': {_, text -> s:hear(text)}})
  let s:Write = {text -> ch_sendraw(s:server, text)}
endif

function! s:ask(method, params) abort
  let s:asked += 1
  let request = {'jsonrpc': '2.0', 'id': s:asked, 'method': a:method, 'params': a:params}
  call s:Write(json_encode(request) . "\n")
  for _ in range(1000)
    if has_key(s:answers, s:asked)
      return remove(s:answers, s:asked).result
    endif
    sleep 10m
  endfor
  throw a:method . ': no answer'
endfunction

function! s:failed_tasks() abort
  let lines = []
  for task in s:ask('task/list', {'filter': 'state:failure'}).rows
    let traceback = get(s:ask('task/get', {'uuid': task.uuid}), 'traceback', {})
    for frame in get(traceback, 'frames', [])
      " What a worker wrote is no path before it is a file here.
      if filereadable(frame.file)
        call add(lines, {'filename': frame.file, 'lnum': frame.line, 'text': task.exception})
      endif
    endfor
  endfor
  call setqflist(lines)
endfunction

command! FailedTasks call s:failed_tasks()
