" A task that is to be sent: fields, and JSON in three of them.
if exists('b:current_syntax')
  finish
endif

syntax match lazyceleryEditField /^\%(name\|queue\|priority\|countdown\|eta\|headers\|args\|kwargs\):/
syntax match lazyceleryEditRemark /^\s*#.*/
syntax match lazyceleryEditEscape /\\\%(["\\/bfnrt]\|u\x\{4}\)/ contained
syntax region lazyceleryEditString start=/"/ skip=/\\./ end=/"/ oneline contains=lazyceleryEditEscape
syntax match lazyceleryEditNumber /[-+]\?\<\d\+\%(\.\d\+\)\?\%([eE][-+]\?\d\+\)\?\>/
syntax keyword lazyceleryEditConstant true false null NaN Infinity

highlight default link lazyceleryEditField LazyCeleryKey
highlight default link lazyceleryEditRemark LazyCeleryDim
highlight default link lazyceleryEditString LazyCeleryString
highlight default link lazyceleryEditEscape Special
highlight default link lazyceleryEditNumber Number
highlight default link lazyceleryEditConstant Constant

let b:current_syntax = 'lazycelery-edit'
