# Stage 1: the whole session is a signed cookie. Redis is not used.

require 'sinatra'
require_relative 'common'

# region session
get '/' do
  name = signed_name(request.cookies['session'])
  return page('You are not logged in') unless name

  page("Logged in as #{escape_html(name)}")
end

post '/login' do
  name = posted_name
  response.set_cookie('session', COOKIE.merge(value: sign(name)))
  redirect '/', 303
end

get '/logout' do
  response.delete_cookie('session', COOKIE)
  redirect '/', 303
end
# endregion session

get '/login' do
  FORM
end
