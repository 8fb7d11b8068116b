//! Tasks are revoked and ended: what is said before, and what is typed where it is production.

use super::{done, five_tasks};
use crate::neovim::lab::{asked, expect, number, pick, run, shown, value};

/// A lock is lifted where the user says so, and then what was asked for is done.
#[test]
fn production_is_unlocked_on_request_and_names_are_typed_where_it_destroys() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "double.tell_environment({ production = true })
         local locked, revoke = true, double.answers['task/revoke']
         double.answers['task/revoke'] = function(params)
           if locked and not params.dry_run then
             return nil, { code = -32030, message = 'task/revoke is forbidden: the environment is production',
               data = { kind = 'forbidden', method = 'task/revoke', rule = 'production', locked = 'prod' } }
           end
           return revoke(params)
         end
         double.answers['environment/unlock'] = function(params)
           locked = false
           return { environment = params.environment, ['until'] = 1795522780 }
         end",
    );
    nvim.keys("jX");
    let question = asked(&mut nvim);
    let items: Vec<_> = question.lines().collect();
    assert_eq!(items[1], "No");
    assert_eq!(items[2], "Yes, end shop.tasks.charge 00000102: SIGTERM, its process ends");
    assert_eq!((items[3], items.len()), ("Yes, by SIGKILL: its process ends at once", 7));
    pick(&mut nvim, 3);
    let question = asked(&mut nvim);
    assert!(question.contains("prod is production. Type shop.tasks.charge to go on"), "{question}");
    run(&mut nvim, "picker.typed('shop.tasks.refund')");
    nvim.wait_for_screen("nothing was done: shop.tasks.charge was not typed");
    assert_eq!(done(&mut nvim, "task/revoke"), 0);

    nvim.keys("X");
    pick(&mut nvim, 3);
    asked(&mut nvim);
    run(&mut nvim, "picker.typed('shop.tasks.charge')");
    let question = asked(&mut nvim);
    let expected =
        "prod is production, and locked. Unlock?\nNo\nYes, unlock prod for 15 minutes, and go on";
    assert_eq!(question, expected);
    pick(&mut nvim, 1);
    nvim.wait_for_screen("nothing was done: prod is locked");
    nvim.keys("x");
    pick(&mut nvim, 2);
    pick(&mut nvim, 2);
    nvim.wait_for_screen("Revoked on 3 of 4 workers; celery@gpu-1 did not answer");
    assert_eq!(value(&mut nvim, "double.last('environment/unlock').minutes"), "15");
    run(&mut nvim, "double.tell_environment({ read_only = true })");
    expect(&mut nvim, "require('lazycelery').status().environments[1].read_only", "true");
    let calls = number(&mut nvim, "#double.calls");
    nvim.keys("x");
    nvim.wait_for_screen("prod is read-only");
    assert_eq!(number(&mut nvim, "#double.calls"), calls);
    // Neovim keeps no error of ours; that of the double is none of the server's.
    nvim.take_messages();
}

/// What a revoke cannot do is said before.
#[test]
fn the_dangers_of_a_revoke_are_said_before() {
    let mut nvim = five_tasks();
    run(
        &mut nvim,
        "local uuid = double.tasks(1, 100)[1].uuid
         acting.warnings = { { uuid = uuid, kind = 'running',
           text = 'it runs on celery@web-1, and will go on: only `terminate` ends it' } }",
    );
    nvim.keys("x");
    let question = asked(&mut nvim);
    assert!(question.ends_with("Yes, revoke shop.tasks.charge 00000101 on prod, which goes on"));
    assert!(shown(&mut nvim, "lazycelery-plan").contains("only `terminate` ends it"));
    pick(&mut nvim, 1);
    run(
        &mut nvim,
        "local text = 'no source knows it: workers will store a result for it all the same'
         acting.warnings = { { uuid = 'nosuch', kind = 'unknown_task', text = text } }",
    );
    nvim.command("LazyCelery revoke nosuch");
    asked(&mut nvim);
    assert!(shown(&mut nvim, "lazycelery-plan").contains("no source knows it"));
    pick(&mut nvim, 1);
    run(
        &mut nvim,
        "acting.warnings = {}
         for _, row in ipairs(double.tasks(5, 100)) do
           acting.refused[row.uuid] = { kind = 'over', reason = 'it has ended: SUCCESS' }
         end",
    );
    nvim.keys("x");
    nvim.wait_for_screen("Not revoked: it has ended: SUCCESS");
    nvim.keys("ggVGX");
    nvim.wait_for_screen("None of 5 tasks can be revoked");
    assert_eq!(done(&mut nvim, "task/revoke"), 0);
}
