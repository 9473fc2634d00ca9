var pool = connect()

// lessons: 1 session, 3 visits, 4 visits
