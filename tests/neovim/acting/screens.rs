//! Questions, plans, progress and outcomes as they look, on one version of Neovim.

use super::*;
use crate::neovim::screens::check;

#[test]
fn a_question_about_one_task() {
    let mut nvim = five_tasks();
    nvim.keys("jr");
    asked(&mut nvim);
    check(&mut nvim, "acting", SMALL, "question");
}

#[test]
fn a_plan_for_several() {
    let mut nvim = five_tasks();
    inexact(&mut nvim);
    nvim.keys("ggVGr");
    asked(&mut nvim);
    check(&mut nvim, "acting", SMALL, "plan");
}

#[test]
fn the_outcome_of_several() {
    check(&mut some_left_alone(), "acting", SMALL, "outcome");
}

#[test]
fn a_job_on_its_way() {
    check(&mut long_job(), "acting", SMALL, "progress");
}
