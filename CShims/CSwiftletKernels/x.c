int swl_x;
