// The accounts that are in use.

import { ACCOUNTS } from "./account.js";
import { Table } from "./table.js";

new Table(document.getElementById("nt-table"), ACCOUNTS);
