"""Who answers: backends behind one contract, and the stack around any of them."""
